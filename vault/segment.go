package vault

// firstValue is the capacity in bytes that a segment begins with: the payload of
// the smallest padded report fits (64 KiB, a nonce of 16 bytes, a tag of 16).
const firstValue = 72 << 10

// segment is up to 4 MiB of payload, as the values of one transaction. Its
// memory grows with what is in it and is used again after reset.
type segment struct {
	number uint32
	size   int
	values [][]byte
}

// append takes bytes of p until the segment is full, and returns how many.
func (s *segment) append(p []byte) int {
	taken := 0
	for len(p) > 0 && s.size < segmentSize {
		if len(s.values) == 0 || len(s.values[len(s.values)-1]) == valueSize {
			s.addValue()
		}
		value := &s.values[len(s.values)-1]
		n := min(len(p), valueSize-len(*value))
		if len(*value)+n > cap(*value) {
			*value = append(make([]byte, 0, valueSize), *value...)
		}
		*value = append(*value, p[:n]...)
		p = p[n:]
		taken += n
		s.size += n
	}
	return taken
}

func (s *segment) addValue() {
	n := len(s.values)
	if n < cap(s.values) && s.values[:n+1][n] != nil {
		s.values = s.values[:n+1]
		s.values[n] = s.values[n][:0]
		return
	}
	size := valueSize
	if n == 0 {
		size = firstValue
	}
	s.values = append(s.values, make([]byte, 0, size))
}

func (s *segment) reset() {
	s.values = s.values[:0]
	s.size = 0
}
