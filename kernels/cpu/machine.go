package cpu

import (
	"runtime"
	"time"
)

// Threads is how many threads this process may keep busy: those that Go runs at a
// time (its processors, unless GOMAXPROCS says less), or what its control group or
// one above it grants, whichever is least.
func Threads() int {
	n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	return granted(n, ownGroups(), groupRoot)
}

// peakRounds makes a measurement of some tens of milliseconds; a round is 48
// fused multiply-adds of whole vectors, or 8 products of tiles.
const (
	peakRounds    = 1_000_000
	fmasPerRound  = 48
	flopsPerFMA   = 2
	peakRepeats   = 3
	portableDepth = 64
)

// Peak measures the arithmetic rate of the pool's instruction set on all its
// threads, in float32 operations a second.
func Peak(p *Pool) float64 {
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		flops := 0.0
		if k := p.Kernels(); k.peak != nil {
			p.Run(p.Threads(), func(_, _ int) { k.peak(peakRounds) })
			flops = float64(p.Threads()) * peakRounds * fmasPerRound * flopsPerFMA * float64(k.Lanes)
		} else {
			flops = portablePeak(p)
		}
		best = max(best, flops/time.Since(start).Seconds())
	}
	return best
}

// PeakBF16 measures the rate of products of bfloat16, or of float32 where the
// instruction set has none.
func PeakBF16(p *Pool) float64 {
	bf16 := p.Kernels().BF16
	if bf16 == nil {
		return Peak(p)
	}
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		p.Run(p.Threads(), func(_, _ int) { bf16.peak(peakRounds) })
		best = max(best, float64(p.Threads())*peakRounds*bf16.peakFLOPs/time.Since(start).Seconds())
	}
	return best
}

// bandwidthFloats is more than any cache holds.
const bandwidthFloats = 32 << 20

// Bandwidth measures the rate at which the pool copies memory, in bytes read and
// written a second.
func Bandwidth(p *Pool) float64 {
	from, to := Alloc(bandwidthFloats), Alloc(bandwidthFloats)
	defer Free(from)
	defer Free(to)
	for i := 0; i < len(from); i += 1024 {
		from[i] = 1 // pages that were never written are all the same one
	}
	part := bandwidthFloats / p.Threads()
	best := 0.0
	for range peakRepeats {
		start := time.Now()
		p.Run(p.Threads(), func(i, _ int) { copy(to[i*part:(i+1)*part], from[i*part:(i+1)*part]) })
		best = max(best, 8*float64(part*p.Threads())/time.Since(start).Seconds())
	}
	return best
}

// portablePeak runs the portable micro-kernel on memory that stays in the cache.
func portablePeak(p *Pool) float64 {
	const rounds = 500
	p.Run(p.Threads(), func(_, _ int) {
		a, b, c := aligned(portableDepth), aligned(portableDepth*16), aligned(TileRows*16)
		var rows [TileRows]uintptr
		for i := range rows {
			rows[i] = uintptr(pointer(a))
		}
		panel := uintptr(pointer(b))
		t := &Tile{A: &rows[0], B: &panel, Taps: 1, Depth: portableDepth, BPitch: 64, C: uintptr(pointer(c)), CPitch: 64, Rows: TileRows, Width: 16}
		for range rounds {
			portableTile(t)
		}
		runtime.KeepAlive([][]float32{a, b, c})
	})
	return float64(p.Threads()) * rounds * TileRows * 16 * portableDepth * flopsPerFMA
}
