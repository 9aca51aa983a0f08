package resample

import "golang.org/x/sys/cpu"

func combineAVX2(out *float64, n int, in *float64, stride int, w *float64, k int)

func combine(out, in []float64, stride int, w []float64) {
	if !cpu.X86.HasAVX2 || len(w) == 0 || len(out) == 0 {
		combineGo(out, in, stride, w)
		return
	}
	_ = in[(len(w)-1)*stride+len(out)-1] // the last that is read
	combineAVX2(&out[0], len(out), &in[0], stride, &w[0], len(w))
}
