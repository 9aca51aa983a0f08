package model

import (
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// What the model assumes beside the rows of cuda.Cards. Assumptions prints them.
const (
	// Share of its memory's rate that a card reaches: cuDNN's and torch.compile's norms on an H200 reach
	// 0.73 to 0.79 of 4.8 TB/s (cudnn-frontend's table), copies of whole tensors a little more.
	memoryShare = 0.82
	// Bytes a cycle of a multiprocessor from the second cache, measured: chipsandcheese.com, "Microbenchmarking
	// Nvidia's RTX 4090" (5 TB/s), "Nvidia's H100: Funny L2" (5.5 to 5.7 TB/s of 114 multiprocessors).
	l2Bytes, l2BytesOfGX100 = 20, 30
	// Share of the second cache that holds what was touched last; the rest is lost to its sets and its two halves.
	l2Share = 0.6
	// Shared memory serves a wavefront a cycle: CUDA C++ Programming Guide.
	wavefronts = 1
	schedulers = 4
	// Lanes of approximate functions: CUDA C++ Programming Guide, "Arithmetic Instructions".
	specialLanes = 16
	// Share of what a scheduler issues beside tensor instructions that it does not hide behind them, for it has
	// two warps of ours: fitted to the one published product whose clock is known (see measured).
	exposed = 0.8
	// From the end of a kernel of a graph to the start of the next, and the least that a kernel takes: loads that
	// wait for loads. NVIDIA's blog "Constant Time Launch for Straight-Line CUDA Graphs" has 1.3 µs a kernel together for empty ones.
	launchSeconds, leastSeconds = 1.0e-6, 1.5e-6
	// A block that shares a tile fences what it leaves and counts itself: some ways to the second cache and back. Assumed.
	arrivalSeconds = 0.6e-6
)

// Assumptions of the model for a card, a line each.
func Assumptions(c cuda.Card) []string {
	groups := ""
	if c.Warpgroup > 0 {
		groups = fmt.Sprintf(", %d by wgmma (%.1f)", c.Warpgroup, float64(c.Warpgroup)*float64(c.ClockHz)*float64(c.Multiprocessors)/1e12)
	}
	return []string{
		fmt.Sprintf("%s: %d multiprocessors at %.0f MHz, %d FLOP a cycle by mma.sync (%.1f TFLOP/s)%s, %d and %d lanes of float32 and integers, %d KiB of shared memory, blocks as ptxas assembles for %s",
			c.Product, c.Multiprocessors, float64(c.ClockHz)/1e6, c.Tensor, c.TensorPeak()*float64(c.Multiprocessors)/1e12, groups, c.Lanes, c.Integers, c.Shared>>10, c.Assembly),
		fmt.Sprintf("memory %.2f TB/s, of which %.2f are reached; L2 %d MiB, of which %.1f hold what was touched last, %d bytes a cycle of a multiprocessor; it writes back whatever was written, also what kernels hand to each other (PTX ISA, discard.L2: only that does without)",
			float64(c.Bandwidth)/1e12, memoryShare, c.L2>>20, l2Share, l2Rate(c)),
		fmt.Sprintf("a kernel of a graph begins %.1f µs after the one before and takes %.1f µs at least; of the work of a scheduler beside tensor instructions %.2f is not hidden; the last of blocks that share a tile waits %.1f µs and reads what they left",
			1e6*launchSeconds, 1e6*leastSeconds, exposed, 1e6*arrivalSeconds),
	}
}

func l2Rate(c cuda.Card) int {
	if c.Minor == 0 && c.Major < 12 {
		return l2BytesOfGX100
	}
	return l2Bytes
}

// Bounds are the seconds that a launch takes at least by each of what it needs, were all
// else free; and by all of it together.
type Bounds struct {
	Tensor  float64 `json:"tensor"`      // tensor instructions
	Issue   float64 `json:"issue"`       // all other instructions, by schedulers and lanes
	Shared  float64 `json:"shared"`      // wavefronts of shared memory
	L2      float64 `json:"l2"`          // sectors from and to the second cache
	Memory  float64 `json:"memory"`      // bytes of the card's memory
	Latency float64 `json:"latency"`     // to begin, and to wait for loads
	Blocks  int     `json:"blocks"`      // of the grid
	Held    int     `json:"blocks_held"` // by a multiprocessor at a time
	Waves   float64 `json:"waves"`       // blocks, by what the card holds at a time
	Idle    float64 `json:"idle"`        // of Seconds, what a launch would not take were its blocks spread evenly over full multiprocessors
	Seconds float64 `json:"seconds"`
}

// Largest names the bound that decides.
func (b Bounds) Largest() string {
	name, most := "latency", b.Latency
	for _, c := range []struct {
		name string
		of   float64
	}{{"tensor", b.Tensor}, {"issue", b.Issue}, {"shared", b.Shared}, {"L2", b.L2}, {"memory", b.Memory}} {
		if c.of > most {
			name, most = c.name, c.of
		}
	}
	return name
}

// add another launch behind this one.
func (b *Bounds) add(o Bounds, times int) {
	n := float64(times)
	b.Tensor += n * o.Tensor
	b.Issue += n * o.Issue
	b.Shared += n * o.Shared
	b.L2 += n * o.L2
	b.Memory += n * o.Memory
	b.Latency += n * o.Latency
	b.Idle += n * o.Idle
	b.Seconds += n * o.Seconds
}

// Estimate is the time of a call on a card, if so many bytes go to and from its memory.
func Estimate(c cuda.Card, call Call, memory float64) (Bounds, error) {
	held, _ := call.Occupancy(c.Assembly)
	if held == 0 {
		return Bounds{}, fmt.Errorf("model: %s does not fit on a multiprocessor of %s, or ptxas has not assembled it for %s", call.Name(), c.Name, c.Assembly)
	}
	b := Bounds{Held: held, Blocks: call.Grid[0] * call.Grid[1] * call.Grid[2]}
	b.Waves = float64(b.Blocks) / float64(held*c.Multiprocessors)

	// Cycles of a multiprocessor for all blocks, then for those of the busiest one.
	n, clock := call.Counters, float64(c.ClockHz)
	machine := call.Machine(c.Assembly)
	class := func(k sim.Class) float64 { return machine * float64(n.Instructions[k]) }
	tensor := float64(n.TensorFLOPs-n.WarpgroupFLOPs) / float64(c.Tensor)
	if n.WarpgroupFLOPs > 0 {
		tensor += float64(n.WarpgroupFLOPs) / float64(c.Warpgroup)
	}
	issue := float64(n.Instructions[sim.Tensor]) / schedulers
	for k := range sim.Classes {
		if k != sim.Tensor {
			issue += class(k) / schedulers
		}
	}
	issue = max(issue, 32*(class(sim.Float)+class(sim.Integer))/float64(c.Lanes), 32*class(sim.Integer)/float64(c.Integers), 32*class(sim.SpecialFunction)/specialLanes)
	shared := float64(n.SharedWavefronts) / wavefronts
	l2 := 32 * float64(n.GlobalLoads.Sectors+n.GlobalStores.Sectors) / float64(l2Rate(c))

	own := call.Split.Busiest(b.Blocks, c.Multiprocessors) // of the busiest multiprocessor
	all := float64(b.Blocks)
	if parts := b.Blocks - call.Split.Whole; call.Split.Parts > 0 {
		all = float64(call.Split.Whole) + float64(parts)*call.Split.Work
	}
	busiest := own / all / clock
	full := min(1, 0.5+0.5*math.Ceil(float64(b.Blocks)/float64(c.Multiprocessors))/float64(held)) // few blocks do not hide each other's waits
	b.Tensor, b.Issue, b.Shared, b.L2 = tensor*busiest, issue*busiest, shared*busiest, l2*busiest
	b.Memory = memory / (memoryShare * float64(c.Bandwidth))
	b.Latency = launchSeconds + leastSeconds
	if call.Cluster > 1 { // once for each round of blocks
		b.Latency += cuda.ClusterSeconds * math.Ceil(b.Waves)
	}
	busy := max(b.Tensor, b.Issue) + exposed*min(b.Tensor, b.Issue)
	busy = max(busy, b.Shared, b.L2)
	last := b.Latency - launchSeconds - leastSeconds
	if call.Split.Parts > 0 { // who comes last to a shared tile says so, and adds up what all have left
		last += arrivalSeconds + float64(call.Split.Fetched)/float64(l2Rate(c))/clock
	}
	seconds := func(busy float64) float64 {
		return launchSeconds + max(leastSeconds, max(busy, b.Memory)+last+leastSeconds/2) // the first loads and the last stores hide behind nothing
	}
	b.Seconds = seconds(busy / full)
	b.Idle = b.Seconds - seconds(busy*all/(own*float64(c.Multiprocessors)))
	return b, nil
}
