package sim

import "fmt"

// Fault is an error that a kernel made.
type Fault struct {
	Module, Kernel string
	Line           int    // of the PTX
	Text           string // that line
	Block, Thread  [3]int
	What           string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("sim: kernel %s, block %v, thread %v: %s, at %s.ptx line %d: %s", f.Kernel, f.Block, f.Thread, f.What, f.Module, f.Line, f.Text)
}

// fail records the fault of a lane; the first of a warp counts.
func (w *warp) fail(lane int, format string, args ...any) {
	if w.fault != nil {
		return
	}
	in := &w.frame.code.instructions[w.at]
	w.fault = &Fault{
		Module: w.frame.code.src.name, Kernel: w.block.entry.name, Line: in.line, Text: w.frame.code.src.text(in.line),
		Block: w.block.index, Thread: w.thread(lane), What: fmt.Sprintf(format, args...),
	}
}

// thread is the index within the block of a lane.
func (w *warp) thread(lane int) [3]int {
	n, size := w.index*32+lane, w.block.size
	return [3]int{n % size[0], n / size[0] % size[1], n / size[0] / size[1]}
}

// describeShared lists the arrays in shared memory for a message.
func (l *launch) describeShared() string {
	text := ""
	for _, v := range l.entry.shared {
		text += fmt.Sprintf("%s at %#x has %d bytes, ", v.name, v.offset, v.bytes)
	}
	return text + fmt.Sprintf("dynamic memory at %#x has %d", l.dynamic, l.call.Shared)
}
