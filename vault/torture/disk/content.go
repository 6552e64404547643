package disk

import "maps"

const (
	sectorSize = 512
	pageSize   = 4096
)

// content is a sparse file. Pages are never modified once they are in the map,
// so that copies share them.
type content struct {
	size  int64
	pages map[int64]*[pageSize]byte
}

func (c *content) clone() content {
	return content{size: c.size, pages: maps.Clone(c.pages)}
}

// readAt fills p from off on and returns how many bytes there are before the end.
func (c *content) readAt(p []byte, off int64) int {
	n := int(min(int64(len(p)), max(0, c.size-off)))
	for done := 0; done < n; {
		page, at := (off+int64(done))/pageSize, int((off+int64(done))%pageSize)
		part := p[done:min(n, done+pageSize-at)]
		if b := c.pages[page]; b != nil {
			copy(part, b[at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return n
}

// writeAt changes bytes, also beyond the end, and leaves the size alone.
func (c *content) writeAt(p []byte, off int64) {
	if c.pages == nil {
		c.pages = make(map[int64]*[pageSize]byte)
	}
	for len(p) > 0 {
		page, at := off/pageSize, int(off%pageSize)
		b := new([pageSize]byte)
		if old := c.pages[page]; old != nil {
			*b = *old
		}
		n := copy(b[at:], p)
		c.pages[page] = b
		p, off = p[n:], off+int64(n)
	}
}

// zero makes a hole.
func (c *content) zero(from, to int64) {
	for page := range c.pages {
		switch start, end := page*pageSize, (page+1)*pageSize; {
		case end <= from || start >= to:
		case start >= from && end <= to:
			delete(c.pages, page)
		default:
			low, high := max(start, from), min(end, to)
			c.writeAt(make([]byte, high-low), low)
		}
	}
}

// blocks is what the file takes up, in units of 512 bytes.
func (c *content) blocks() uint64 { return uint64(len(c.pages)) * (pageSize / sectorSize) }

// change is one volatile change of a file: a write (data), or zeros between off and end (a
// hole, or what a truncation cuts off); size is the file's size afterwards.
type change struct {
	off, end int64
	data     []byte // nil: zeros
	size     int64
}

func (c *content) apply(ch change) {
	if ch.data != nil {
		c.writeAt(ch.data, ch.off)
	} else if ch.end > ch.off {
		c.zero(ch.off, ch.end)
	}
	c.size = ch.size
}

// sectors calls f for each sector that the change touches and that may hold
// something in before.
func (ch change) sectors(before *content, f func(sector int64)) {
	for s := ch.off / sectorSize; s*sectorSize < ch.end; s++ {
		if ch.data == nil && before.pages[s*sectorSize/pageSize] == nil {
			s |= pageSize/sectorSize - 1 // nothing there: go on with the next page
			continue
		}
		f(s)
	}
}

// copySector copies a sector of from.
func (c *content) copySector(from *content, sector int64) {
	page, at := sector*sectorSize/pageSize, sector*sectorSize%pageSize
	var zeros [pageSize]byte
	b := from.pages[page]
	if b == nil {
		if c.pages[page] == nil {
			return
		}
		b = &zeros
	}
	c.writeAt(b[at:at+sectorSize], sector*sectorSize)
}

// shorten cuts off what lies beyond the size.
func (c *content) shorten(size int64) {
	c.size = size
	c.zero(size, 1<<62)
}
