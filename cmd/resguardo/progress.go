package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"resguardo/cmd/internal/say"
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

// torProgress shows how far tor has come to the network: on a terminal in one
// line that goes away, else in a line for each step.
type torProgress struct {
	*program
	bar *progressbar.ProgressBar
	up  bool
}

func newTorProgress(p *program) *torProgress {
	t := &torProgress{program: p}
	if screen.IsTerminal(p.Err) {
		t.bar = progressbar.NewOptions(100,
			progressbar.OptionSetWriter(p.Err),
			progressbar.OptionSetDescription("tor"),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish(),
		)
	}
	return t
}

// tell is torclient.Config.Progress. What tor says after it has arrived, while
// other things are printed, is not shown.
func (t *torProgress) tell(percent int, phase string) {
	if t.up {
		return
	}
	t.up = percent == 100
	if t.bar != nil {
		_ = t.bar.Set(percent)
		return
	}
	t.Line("tor", say.Line{What: fmt.Sprintf("%d%% (%s)", percent, screen.Escape(phase))})
}

func (t *torProgress) close() {
	if t.bar != nil {
		_ = t.bar.Exit()
	}
}
