package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"resguardo/cmd/resguardo/internal/screen"
)

// bar shows the progress of a download with its rate and the time left, if w is
// a terminal. Otherwise it shows nothing.
type bar struct{ bar *progressbar.ProgressBar }

func newBar(w io.Writer, size int64, description string) *bar {
	if !screen.IsTerminal(w) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(description),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b *bar) Write(p []byte) (int, error) {
	if b.bar != nil {
		// A terminal that went away must not end the download.
		_ = b.bar.Add64(int64(len(p)))
	}
	return len(p), nil
}

// Set says how many bytes are there already.
func (b *bar) Set(n int64) {
	if b.bar != nil {
		_ = b.bar.Set64(n)
	}
}

func (b *bar) Close() {
	if b.bar != nil {
		_ = b.bar.Exit()
	}
}
