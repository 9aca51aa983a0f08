package sim

import (
	"math"
	"math/bits"
	"slices"
)

// Class is the kind of an instruction.
type Class uint8

const (
	Integer         Class = iota // integer and logic, comparison, move, conversion
	Float                        // float32, float64 and half arithmetic
	SpecialFunction              // reciprocal, root, exponential, logarithm, sine
	Tensor                       // mma, wgmma
	MemoryAccess                 // loads, stores, atomics, copies, fences
	Control                      // branches, calls, barriers
	Classes                      // how many there are
)

func (c Class) String() string {
	return [...]string{"integer", "float", "special function", "tensor", "memory", "control"}[c]
}

// Traffic is what loads, or stores, asked of a memory.
type Traffic struct {
	Requests int64 // instructions of a warp
	Sectors  int64 // 32-byte sectors touched, the unit of transfer
	Ideal    int64 // sectors that the same bytes would fill if they lay together
	Bytes    int64 // different bytes asked for, counted once a request
}

// Counters are what a launch did. Instructions are those of warps.
type Counters struct {
	Instructions     [Classes]int64
	LaneInstructions int64 // instructions times the lanes that were active
	FLOPs            int64 // of scalar instructions; a fused multiply-add is two
	TensorFLOPs      int64 // of mma and wgmma
	WarpgroupFLOPs   int64 // of wgmma

	GlobalLoads, GlobalStores Traffic // the loads of cp.async among them
	Atomics                   int64   // atomic instructions on global memory
	LocalAccesses             int64   // to local memory: spills and arrays in registers' stead

	// Accesses to shared memory, those of cp.async and ldmatrix among them. A
	// wavefront serves each of the 32 banks of 4 bytes once. Accesses of 8 bytes a
	// lane take two at least, of 16 bytes four; what is beyond is BankConflicts.
	SharedRequests, SharedWavefronts, BankConflicts int64

	Barriers int64 // warps that came to a barrier of the block
}

// Add adds the counts of another launch.
func (c *Counters) Add(o Counters) {
	for i := range c.Instructions {
		c.Instructions[i] += o.Instructions[i]
	}
	c.LaneInstructions += o.LaneInstructions
	c.FLOPs += o.FLOPs
	c.TensorFLOPs += o.TensorFLOPs
	c.WarpgroupFLOPs += o.WarpgroupFLOPs
	c.GlobalLoads.add(o.GlobalLoads)
	c.GlobalStores.add(o.GlobalStores)
	c.Atomics += o.Atomics
	c.LocalAccesses += o.LocalAccesses
	c.SharedRequests += o.SharedRequests
	c.SharedWavefronts += o.SharedWavefronts
	c.BankConflicts += o.BankConflicts
	c.Barriers += o.Barriers
}

// scale counts f times as much.
func (c *Counters) scale(f float64) {
	if f == 1 {
		return
	}
	counts := []*int64{
		&c.LaneInstructions, &c.FLOPs, &c.TensorFLOPs, &c.WarpgroupFLOPs, &c.Atomics, &c.LocalAccesses,
		&c.SharedRequests, &c.SharedWavefronts, &c.BankConflicts, &c.Barriers,
	}
	for i := range c.Instructions {
		counts = append(counts, &c.Instructions[i])
	}
	for _, t := range []*Traffic{&c.GlobalLoads, &c.GlobalStores} {
		counts = append(counts, &t.Requests, &t.Sectors, &t.Ideal, &t.Bytes)
	}
	for _, n := range counts {
		*n = int64(math.Round(float64(*n) * f))
	}
}

func (t *Traffic) add(o Traffic) {
	t.Requests += o.Requests
	t.Sectors += o.Sectors
	t.Ideal += o.Ideal
	t.Bytes += o.Bytes
}

// SectorsPerRequest is the mean, 0 without requests. A warp that loads 4 bytes a
// lane side by side touches 4, one that loads 16 bytes a lane 16.
func (t Traffic) SectorsPerRequest() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Sectors) / float64(t.Requests)
}

const sectorSize = 32

// side counts a request for n bytes side by side.
func (t *Traffic) side(a uint64, n int) {
	t.Requests++
	t.Sectors += int64((a+uint64(n)-1)/sectorSize - a/sectorSize + 1)
	t.Ideal += int64(n+sectorSize-1) / sectorSize
	t.Bytes += int64(n)
}

// scattered counts a request of lanes here and there. An access is aligned to its
// size and so lies within a sector.
func (t *Traffic) scattered(addresses *vec64, mask uint32, size int) {
	var sectors [32]struct {
		number uint64
		bytes  uint32
	}
	n, last := 0, 0
	for m := mask; m != 0; m &= m - 1 {
		a := addresses[bits.TrailingZeros32(m)]
		number, bytes := a/sectorSize, uint32(1<<size-1)<<(a%sectorSize)
		if n == 0 || sectors[last].number != number {
			last = slices.IndexFunc(sectors[:n], func(s struct {
				number uint64
				bytes  uint32
			}) bool {
				return s.number == number
			})
			if last < 0 {
				last = n
				n++
				sectors[last].number = number
			}
		}
		sectors[last].bytes |= bytes
	}
	different := 0
	for _, s := range sectors[:n] {
		different += bits.OnesCount32(s.bytes)
	}
	t.Requests++
	t.Sectors += int64(n)
	t.Ideal += int64(different+sectorSize-1) / sectorSize
	t.Bytes += int64(different)
}

// shared counts an access to shared memory of the addresses in w.
func (w *warp) countShared(mask uint32, size int) {
	c := &w.block.worker.counters
	c.SharedRequests++
	lanes := 32 // served at a time
	switch size {
	case 8:
		lanes = 16
	case 16:
		lanes = 8
	}
	for first := 0; first < 32; first += lanes {
		m := mask >> first & uint32(1<<lanes-1)
		if m == 0 {
			continue
		}
		n := w.block.worker.banks.wavefronts(w.addresses[first:first+lanes], m, size)
		c.SharedWavefronts += n
		c.BankConflicts += n - 1
	}
}

// banks holds what was asked of each bank, or group of banks, while wavefronts counts.
type banks [32][32]uint32

// wavefronts is how often the busiest bank is accessed, where lanes that want the
// same word share one access. An access of 8 or 16 bytes is aligned to its size, so
// it takes the banks of one of 16 or 8 groups and those alone.
func (asked *banks) wavefronts(addresses []uint64, mask uint32, size int) int64 {
	// Side by side or all the same there is no conflict.
	if int(mask) == 1<<len(addresses)-1 {
		a := addresses[0]
		same, side := true, true
		for i, v := range addresses {
			same = same && v == a
			side = side && v == a+uint64(i*size)
		}
		if same || side {
			return 1
		}
	}
	var count [32]uint8
	most := uint8(1)
	shift := bits.TrailingZeros(uint(max(size, 4)))
	groups := uint32(128) >> shift
	last := ^uint32(0)
	for m := mask; m != 0; m &= m - 1 {
		piece := uint32(addresses[bits.TrailingZeros32(m)]) >> shift
		if piece == last {
			continue
		}
		last = piece
		group := piece % groups
		n := count[group]
		if slices.Contains(asked[group][:n], piece) {
			continue
		}
		asked[group][n] = piece
		count[group]++
		most = max(most, n+1)
	}
	return int64(most)
}
