package cuda

// Multiprocessor is what limits the blocks that one multiprocessor holds.
type Multiprocessor struct {
	Warps, Blocks int
	Shared        int // bytes, of all blocks
	BlockShared   int // bytes of dynamic and static shared memory that one block may ask for
}

// Multiprocessors by GPU. Numbers are those of NVIDIA's occupancy calculator
// (cuda_occupancy.h of CUDA 12.9) and of the CUDA C++ Programming Guide, table
// "Technical Specifications per Compute Capability".
var Multiprocessors = map[string]Multiprocessor{
	"sm_80":   {Warps: 64, Blocks: 32, Shared: 164 << 10, BlockShared: 163 << 10},
	"sm_86":   {Warps: 48, Blocks: 16, Shared: 100 << 10, BlockShared: 99 << 10},
	"sm_89":   {Warps: 48, Blocks: 24, Shared: 100 << 10, BlockShared: 99 << 10},
	"sm_90a":  {Warps: 64, Blocks: 32, Shared: 228 << 10, BlockShared: 227 << 10},
	"sm_100a": {Warps: 64, Blocks: 32, Shared: 228 << 10, BlockShared: 227 << 10},
	"sm_120":  {Warps: 48, Blocks: 24, Shared: 100 << 10, BlockShared: 99 << 10},
}

const (
	warp = 32

	// The same on every GPU above: 65536 registers in four parts, given to warps in
	// units of 256; shared memory in units of 128 bytes, 1 KB of each block for the driver.
	registerFile, parts, registerUnit = 65536, 4, 256
	sharedUnit, sharedReserved        = 128, 1 << 10
)

// Occupancy returns how many blocks of so many threads, registers of a thread and
// bytes of shared memory (static and dynamic) a multiprocessor holds, and the share
// of its warps that are then in use. No block fits where it returns 0.
func (m Multiprocessor) Occupancy(threads, registers, shared int) (blocks int, share float64) {
	up := func(n, unit int) int { return (n + unit - 1) / unit * unit }
	if threads < 1 || shared > m.BlockShared {
		return 0, 0
	}
	warps := up(threads, warp) / warp
	blocks = min(m.Blocks, m.Warps/warps, m.Shared/up(shared+sharedReserved, sharedUnit))
	if registers > 0 {
		room := registerFile / parts / up(registers*warp, registerUnit) * parts
		blocks = min(blocks, room/warps)
	}
	return blocks, float64(blocks*warps) / float64(m.Warps)
}

// Occupancy of a call on a GPU of the table, its dynamic shared memory included.
func (c Call) Occupancy(gpu string) (blocks int, share float64) {
	r, known := c.Needs(gpu)
	if !known {
		return 0, 0
	}
	return Multiprocessors[gpu].Occupancy(c.Block[0]*c.Block[1]*c.Block[2], r.Registers, r.Shared+c.Shared)
}
