package sim_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// hopper runs code in a block of four warps. %map is the address of the tensor map, %in and %out those of the buffers,
// %t0 the thread, %w its warp; memory is 64 KiB of shared memory at a multiple of 1024, bars 64 bytes for
// mbarriers, and %p7 says that a thread is the first.
func hopper(t testing.TB, code string, m func(in cuda.Address) cuda.TensorMap, in []byte, out int) ([]byte, sim.Counters, error) {
	t.Helper()
	return hopperGrid(t, "", [3]int{1, 1, 1}, code, m, in, out)
}

// hopperGrid runs it in more blocks, of a kernel with another directive.
func hopperGrid(t testing.TB, directive string, grid [3]int, code string, m func(in cuda.Address) cuda.TensorMap, in []byte, out int) ([]byte, sim.Counters, error) {
	t.Helper()
	ptx := `.version 8.1
.target sm_90a
.address_size 64
.visible .entry k(.param .align 64 .b8 map[128], .param .u64 in, .param .u64 out)
.maxntid 128, 1, 1
` + directive + `
{
	.shared .align 1024 .b8 memory[65536];
	.shared .align 8 .b8 bars[64];
	.reg .pred %p<8>;
	.reg .f32 %s<64>;
	.reg .b32 %t<16>, %w;
	.reg .b64 %l<16>, %map, %in, %out, %at;
	mov.b64 %map, map;
	cvta.param.u64 %map, %map;
	ld.param.u64 %in, [in];
	ld.param.u64 %out, [out];
	mov.u32 %t0, %tid.x;
	shr.u32 %w, %t0, 5;
	setp.eq.u32 %p7, %t0, 0;
` + code + "\n\tret;\n}\n"
	d := newDevice(t, sim.Options{Seed: 1})
	from := d.alloc(max(len(in), 16))
	if err := d.mem.Write(from, in); err != nil {
		t.Fatal(err)
	}
	to := d.alloc(max(out, 16))
	call := cuda.Call{Module: cuda.NewModule("test", ptx), Function: "k", Grid: grid, Block: [3]int{128, 1, 1}, Args: cuda.Args(make([]byte, 128), from, to)}
	if m != nil {
		call.Maps = []cuda.TensorMap{m(from)}
	}
	counters, err := d.machine.Run(context.Background(), call)
	if err != nil {
		return nil, counters, err
	}
	result := make([]byte, out)
	if err := d.mem.Read(to, result); err != nil {
		t.Fatal(err)
	}
	return result, counters, nil
}

const (
	makeBars = `
	@%p7 mbarrier.init.shared::cta.b64 [bars], 1;
	@%p7 mbarrier.init.shared::cta.b64 [bars+8], 3;
	@%p7 fence.mbarrier_init.release.cluster;
	bar.sync 0;
`
	// await waits for the phase of parity %t1 of the mbarrier at bars.
	await = `
A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [bars], %t1;
	@!%p1 bra A;
`
)

// box is of bytes: rows of a 4×9×16 tensor, 8 rows of a box.
func box(swizzle int, sizes [3]uint64, element, boxed [3]uint32) func(in cuda.Address) cuda.TensorMap {
	return func(in cuda.Address) cuda.TensorMap {
		return cuda.TensorMap{
			Type: 9, Address: in, Sizes: sizes[:], Strides: []uint64{2 * sizes[0], 2 * sizes[0] * sizes[1]},
			Box: boxed[:], ElementStrides: element[:], Swizzle: swizzle,
		}
	}
}

// A warp sees what others did before they arrived, and bytes that were expected.
func TestMbarrier(t *testing.T) {
	const handOver = `
	setp.eq.u32 %p0, %w, 3;
	@%p0 bra TAKE;
	setp.ne.u32 %p1, %t2, 0;
	shl.b32 %t3, %w, 2;
	mov.u32 %t4, memory;
	add.u32 %t3, %t3, %t4;
	@!%p1 st.shared.u32 [%t3], %t0;
	bar.warp.sync -1;
	@!%p1 mbarrier.arrive.shared::cta.b64 _, [bars+8];
	bra END;
TAKE:
B: mbarrier.try_wait.parity.shared::cta.b64 %p1, [bars+8], %t1;
	@!%p1 bra B;
	ld.shared.v2.u32 {%t5, %t6}, [memory];
	ld.shared.u32 %t7, [memory+8];
	st.global.v2.u32 [%out], {%t5, %t6};
	st.global.u32 [%out+8], %t7;
END:
`
	start := makeBars + "\tand.b32 %t2, %t0, 31;\n"
	got, _, err := hopper(t, start+"\tmov.u32 %t1, 0;\n"+handOver, nil, nil, 12)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if v := binary.LittleEndian.Uint32(got[4*i:]); v != uint32(32*i) {
			t.Errorf("warp %d left %d", i, v)
		}
	}
	for _, c := range []struct{ what, code, want string }{
		{"wrong phase", start + "\tmov.u32 %t1, 1;\n" + handOver, "shared address 0x0"},
		{"no arrival", start + "\tmov.u32 %t1, 0;\n" + strings.Replace(handOver, "@!%p1 mbarrier.arrive", "@%p7 mbarrier.arrive", 1), "lacks 2 arrivals"},
		{"all threads arrive where warps should", start + "\tmov.u32 %t1, 0;\n" + strings.Replace(handOver, "@!%p1 mbarrier.arrive", "mbarrier.arrive", 1), "race: load at shared address 0x4"},
		{"too many arrivals", makeBars + "\t@%p7 mbarrier.arrive.shared::cta.b64 _, [bars], 2;", "2 arrivals at the mbarrier"},
		{"no mbarrier", "\tmov.u32 %t1, 0;\n" + await, "no mbarrier at shared address"},
		{"made without a barrier", "\t@!%p7 bra G;\n\tmbarrier.init.shared::cta.b64 [bars], 1;\nG:\tadd.u32 %t2, %t0, 1;\n\tmov.u32 %t1, 0;\n" + strings.Repeat("\tadd.u32 %t2, %t2, 1;\n", 2000) + await, "made"},
		{"stored over", makeBars + "\t@%p7 st.shared.u32 [bars+4], %t0;", "where an mbarrier is"},
		{"a state that does not end", makeBars + "\t@!%p7 exit;\n\tmbarrier.arrive.shared::cta.b64 %l0, [bars];\n\tmbarrier.try_wait.shared::cta.b64 %p1, [bars], %l0;\n\t@!%p1 trap;\n\tadd.u64 %l0, %l0, 1;\n\tmbarrier.test_wait.shared::cta.b64 %p1, [bars], %l0;\n\t@%p1 trap;\n\tmbarrier.try_wait.shared::cta.b64 %p1, [bars], %l0;", "lacks 1 arrivals"},
	} {
		if _, _, err := hopper(t, c.code, nil, nil, 12); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

// elements: number i of a tensor of bf16 is i + 1 as 16 bits.
func elements(n int) []byte {
	b := make([]byte, 2*n)
	for i := range n {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(i+1))
	}
	return b
}

const copyOut = `
	mov.u32 %t4, memory;
	mad.lo.u32 %t4, %t0, 16, %t4;
	mul.wide.u32 %at, %t0, 16;
	add.u64 %at, %out, %at;
	ld.shared.v4.u32 {%t5, %t6, %t7, %t8}, [%t4];
	st.global.v4.u32 [%at], {%t5, %t6, %t7, %t8};
`

func takeBox(bytes int, coordinates string) string {
	return fmt.Sprintf(`
	@%%p7 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], %d;
	@%%p7 cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [memory], [%%map, {%s}], [bars];
	mov.u32 %%t1, 0;
`, bytes, coordinates)
}

// Boxes against the tensor they are of: what lies outside is zero, element strides leave elements out, and a
// swizzle moves 16 bytes at a time as the manual draws it.
func TestBox(t *testing.T) {
	sizes := [3]uint64{64, 6, 5}
	in := elements(64 * 6 * 5)
	// The manual's "Swizzling Modes": rows of 128 bytes, and where each row has its 16 bytes number 0 to 7.
	figures := [4][8][8]int{}
	for row := range 8 {
		for chunk := range 8 {
			figures[0][row][chunk] = chunk
			figures[1][row][chunk] = chunk ^ row&1
			figures[2][row][chunk] = chunk ^ row&3
			figures[3][row][chunk] = chunk ^ row
		}
	}
	for _, c := range []struct {
		swizzle        int
		element, boxed [3]uint32
		at             [3]int
	}{
		{0, [3]uint32{1, 1, 1}, [3]uint32{64, 4, 4}, [3]int{0, -1, -2}},
		{0, [3]uint32{1, 1, 1}, [3]uint32{64, 4, 4}, [3]int{-8, 3, 3}},
		{0, [3]uint32{1, 2, 3}, [3]uint32{64, 8, 12}, [3]int{8, -1, -3}},
		{1, [3]uint32{1, 1, 1}, [3]uint32{16, 16, 4}, [3]int{16, -3, 1}},
		{2, [3]uint32{1, 2, 1}, [3]uint32{32, 16, 4}, [3]int{32, 0, 0}},
		{3, [3]uint32{1, 1, 1}, [3]uint32{64, 4, 4}, [3]int{0, 2, -1}},
	} {
		n := [3]int{int(c.boxed[0]), int((c.boxed[1] + c.element[1] - 1) / c.element[1]), int((c.boxed[2] + c.element[2] - 1) / c.element[2])}
		bytes := 2 * n[0] * n[1] * n[2]
		code := makeBars + takeBox(bytes, fmt.Sprintf("%d, %d, %d", c.at[0], c.at[1], c.at[2])) + await
		if bytes < 2048 {
			code += fmt.Sprintf("\tsetp.ge.u32 %%p2, %%t0, %d;\n\t@%%p2 exit;\n", bytes/16)
		}
		got, _, err := hopper(t, code+copyOut, box(c.swizzle, sizes, c.element, c.boxed), in, bytes)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		for i := range n[0] * n[1] * n[2] {
			x, y, z := i%n[0]+c.at[0], i/n[0]%n[1]*int(c.element[1])+c.at[1], i/n[0]/n[1]*int(c.element[2])+c.at[2]
			want := uint16(0)
			if x >= 0 && y >= 0 && z >= 0 && x < 64 && y < 6 && z < 5 {
				want = uint16((z*6+y)*64 + x + 1)
			}
			at := 2 * i
			at = at&^127 + figures[c.swizzle][at/128%8][at/16%8]*16 + at%16
			if v := binary.LittleEndian.Uint16(got[at:]); v != want {
				t.Fatalf("%+v: element %d is %d, want %d", c, i, v, want)
			}
		}
	}
}

// Bugs of bulk copies, planted.
func TestBoxBugs(t *testing.T) {
	in, m := elements(64*6*5), box(3, [3]uint64{64, 6, 5}, [3]uint32{1, 1, 1}, [3]uint32{64, 4, 4})
	whole := makeBars + takeBox(2048, "0, 0, 0") + await + copyOut
	if _, _, err := hopper(t, whole, m, in, 2048); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, code, want string }{
		{"too few bytes expected", makeBars + takeBox(1024, "0, 0, 0") + await + copyOut, "wrong expect_tx: the mbarrier at shared address"},
		{"too many bytes expected", makeBars + takeBox(4096, "0, 0, 0") + await + copyOut, "and 2048 bytes that are not under way"},
		{"no wait", makeBars + takeBox(2048, "0, 0, 0") + "\tbar.sync 0;" + copyOut, "missing wait: load"},
		{"the wrong phase", makeBars + takeBox(2048, "0, 0, 0") + "\tmov.u32 %t1, 1;\n\tbar.sync 0;\n" + await + copyOut, "missing wait: load"},
		{"another's wait", makeBars + takeBox(2048, "0, 0, 0") + "\tbar.sync 0;\n\t@!%p7 bra C;\n" + await + "C:" + copyOut, "missing wait: load"},
		{"no fence of the mbarrier", strings.Replace(whole, "@%p7 fence.mbarrier_init.release.cluster;", "", 1), "missing proxy fence: a bulk copy with the mbarrier"},
		{"nobody waits", makeBars + takeBox(2048, "0, 0, 0"), "missing wait: the block has ended"},
		{"over what was stored", makeBars + "\t@%p7 st.shared.u32 [memory+8], %t0;\n\tbar.sync 0;" + takeBox(2048, "0, 0, 0") + await, "missing proxy fence: bulk copy"},
		{"over what others read", whole + "\t@!%p7 exit;\n" + strings.Repeat("\tadd.u32 %t5, %t5, 1;\n", 5000) + takeBox(2048, "0, 0, 0") + strings.Replace(await, "A", "C", 2), "race: bulk copy"},
		{"misaligned", strings.Replace(whole, "[memory], [%map", "[memory+64], [%map", 1), "misaligned"},
		{"no map", strings.Replace(whole, "[%map,", "[%in,", 1), "not made by the driver"},
		{"another rank", strings.NewReplacer("tensor.3d", "tensor.2d", "{0, 0, 0}", "{0, 0}").Replace(whole), "a box of 2 dimensions of a tensor of 3"},
	} {
		if _, _, err := hopper(t, c.code, m, in, 2048); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

// list is %s0, …, of n registers.
func list(n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("%%s%d", i))
	}
	return "{" + strings.Join(s, ", ") + "}"
}

const writeSums = `
	shl.b32 %t3, %t0, 6;                  // 16 sums of 4 bytes a thread
	cvt.u64.u32 %at, %t3;
	add.u64 %at, %out, %at;
`

func sums(n int) (clear, write string) {
	write = writeSums
	for i := range n {
		clear += fmt.Sprintf("\tmov.f32 %%s%d, 0f3F800000;\n", i) // 1
		write += fmt.Sprintf("\tst.global.f32 [%%at+%d], %%s%d;\n", 4*i, i)
	}
	return clear, write
}

// operands of 64×16 and 16×32, small whole numbers.
func operands(r *rand.Rand) (a [64][16]float32, b [16][32]float32) {
	for i := range a {
		for k := range a[i] {
			a[i][k] = float32(r.IntN(17) - 8)
		}
	}
	for k := range b {
		for j := range b[k] {
			b[k][j] = float32(r.IntN(17) - 8)
		}
	}
	return a, b
}

// lay puts an operand of rows×16 into an image of shared memory by the manual's table "Canonical Layouts", in
// units of 8 elements: ((8,m),(T,2)) and so on; it returns LBO and SBO. Swizzle<B,4,3> is applied to the address.
func lay(image []byte, rows int, side bool, mode int, at func(row, k int) float32) (leading, stride int) {
	const T = 8
	span := []int{1, 2, 4, 8}[mode] // of T
	if side {
		leading, stride = span*T*16*2, span*T*8*2 // 16 k of a panel; 8 k
		if mode == 0 {
			stride, leading = 16*8*2, 128 // 8 rows, then 8 k
		}
	} else {
		leading, stride = 128, span*T*8*2
		if mode == 0 {
			stride = 256
		}
	}
	for row := range rows {
		for k := range 16 {
			var to int
			switch {
			case side && mode == 0: // ((T,1,m),(8,k)):((1,T,SBO),(1T,LBO))
				to = row%T*2 + row/T*stride + k%8*T*2 + k/8*leading
			case side: // ((T,s,m),(8,k)):((1,T,LBO),(sT,SBO))
				to = row%T*2 + row/T%span*T*2 + row/(T*span)*leading + k%8*span*T*2 + k/8*stride
			case mode == 0: // ((8,m),(T,2)):((1T,SBO),(1,LBO))
				to = row%8*T*2 + row/8*stride + k%T*2 + k/T*leading
			default: // ((8,m),(T,2)):((sT,SBO),(1,T))
				to = row%8*span*T*2 + row/8*stride + k*2
			}
			bits := []int{0, 1, 3, 7}[mode]
			to ^= to >> 7 & bits << 4
			binary.LittleEndian.PutUint16(image[to:], uint16(math.Float32bits(at(row, k))>>16))
		}
	}
	return leading, stride
}

// fill brings %in, 16 KiB, to shared memory, known to the asynchronous proxy.
const fill = `
	mov.u32 %t3, memory;
	mad.lo.u32 %t3, %t0, 16, %t3;
	mul.wide.u32 %l0, %t0, 16;
	add.u64 %l0, %in, %l0;
	mov.u32 %t2, 0;
F:	ld.global.v4.u32 {%t4, %t5, %t6, %t7}, [%l0];
	st.shared.v4.u32 [%t3], {%t4, %t5, %t6, %t7};
	add.u32 %t3, %t3, 2048;
	add.u64 %l0, %l0, 2048;
	add.u32 %t2, %t2, 1;
	setp.lt.u32 %p2, %t2, 8;
	@%p2 bra F;
	fence.proxy.async;
	bar.sync 0;
`

func describe(address, leading, stride, mode int) uint64 {
	return uint64(address)>>4 | uint64(leading>>4)<<16 | uint64(stride>>4)<<32 | uint64([]int{0, 3, 2, 1}[mode])<<62
}

func multiplyCode(a, b uint64, scale string, sideA, sideB int) string {
	return fmt.Sprintf(`
	mov.u64 %%l2, %d;
	mov.u64 %%l3, %d;
	setp.%s.u32 %%p3, 0, 0;
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 %s, %%l2, %%l3, %%p3, 1, 1, %d, %d;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
`, a, b, scale, list(16), sideA, sideB)
}

// Products in every layout of both operands.
func TestWarpgroupProduct(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clearSums, write := sums(16)
	for mode := range 4 {
		for _, sides := range [][2]int{{0, 0}, {0, 1}, {1, 0}, {1, 1}} {
			a, b := operands(r)
			in := make([]byte, 16<<10)
			la, sa := lay(in, 64, sides[0] == 1, mode, func(i, k int) float32 { return a[i][k] })
			lb, sb := lay(in[8<<10:], 32, sides[1] == 1, mode, func(j, k int) float32 { return b[k][j] })
			for _, scale := range []string{"eq", "ne"} {
				got, counters, err := hopper(t, clearSums+fill+multiplyCode(describe(0, la, sa, mode), describe(8<<10, lb, sb, mode), scale, sides[0], sides[1])+write, nil, in, 128*64)
				if err != nil {
					t.Fatalf("swizzle %d, sides %v: %v", mode, sides, err)
				}
				if counters.TensorFLOPs != 2*64*32*16 || counters.WarpgroupFLOPs != counters.TensorFLOPs {
					t.Errorf("%d FLOPs", counters.TensorFLOPs)
				}
				for i := range 64 {
					for j := range 32 {
						want := float32(0)
						if scale == "eq" {
							want = 1
						}
						for k := range 16 {
							want += a[i][k] * b[k][j]
						}
						// The manual's figure of D: row 16·warp + lane/4 (+ 8), columns 8·n + 2·(lane%4) (+ 1).
						thread, slot := i/16*32+i%8*4+j%8/2, j/8*4+i/8%2*2+j%2
						if v := math.Float32frombits(binary.LittleEndian.Uint32(got[64*thread+4*slot:])); v != want {
							t.Fatalf("swizzle %d, sides %v: (%d, %d) is %v, want %v", mode, sides, i, j, v, want)
						}
					}
				}
			}
		}
	}
}

// Bugs of products of four warps, planted.
func TestWarpgroupBugs(t *testing.T) {
	clearSums, write := sums(16)
	a, b := describe(0, 1, 1024, 3), describe(8<<10, 1, 1024, 3)
	in := make([]byte, 16<<10)
	product := multiplyCode(a, b, "eq", 0, 0)
	whole := clearSums + fill + product + write
	if _, _, err := hopper(t, whole, nil, in, 128*64); err != nil {
		t.Fatal(err)
	}
	cut := func(what string) string { return strings.Replace(whole, what, "", 1) }
	m := box(3, [3]uint64{64, 64, 1}, [3]uint32{1, 1, 1}, [3]uint32{64, 64, 1})
	boxed := makeBars + takeBox(8192, "0, 0, 0") + await + clearSums
	again := "\tbar.sync 0;" + strings.ReplaceAll(takeBox(8192, "0, 0, 0"), "mov.u32", "// ")
	sharedB := multiplyCode(a, a, "eq", 0, 0)
	if _, _, err := hopper(t, boxed+sharedB+write, m, in, 128*64); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, code, want string }{
		{"no proxy fence", cut("fence.proxy.async;"), "missing proxy fence: wgmma, operand A"},
		{"no barrier", strings.Replace(whole, "bar.sync 0;", "", 1), "wgmma, operand A at shared address"},
		{"no wgmma.fence", cut("wgmma.fence.sync.aligned;"), "missing wgmma.fence"},
		{"sums written after the fence", strings.Replace(whole, "wgmma.mma_async", "mov.f32 %s3, 0f00000000;\n\twgmma.mma_async", 1), "missing wgmma.fence"},
		{"no wait", cut("wgmma.wait_group.sync.aligned 0;"), "missing wait: a register"},
		{"a wait for fewer", strings.Replace(whole, "wait_group.sync.aligned 0", "wait_group.sync.aligned 1", 1), "missing wait: a register"},
		{"not committed", cut("wgmma.commit_group.sync.aligned;"), "missing wait: a register"},
		{"operand B was never written", strings.Replace(whole, fmt.Sprintf("%d;", b), fmt.Sprintf("%d;", describe(32<<10, 1, 1024, 3)), 1), "uninitialised: wgmma, operand B"},
		{"a warp is missing", strings.Replace(whole, "wgmma.fence", "setp.eq.u32 %p4, %w, 2;\n\t@%p4 exit;\n\twgmma.fence", 1), "divergent: warp 2 did not execute"},
		{"another operand", strings.Replace(whole, "wgmma.fence", "setp.eq.u32 %p4, %w, 2;\n\t@%p4 add.u64 %l3, %l3, 64;\n\twgmma.fence", 1), "divergent: another of the four warps"},
		{"swizzle mismatch", boxed + multiplyCode(describe(0, 1, 512, 2), describe(0, 1, 512, 2), "eq", 0, 0) + write, "swizzle mismatch: wgmma, operand A at shared address 0x0 with a swizzle of 64 bytes, which a bulk copy wrote with a swizzle of 128 bytes"},
		{"no wait for the box", strings.Replace(boxed, await, "\tbar.sync 0;\n", 1) + sharedB + write, "missing wait: wgmma, operand A"},
		{"overwritten before the wait", boxed + strings.Replace(sharedB, "\twgmma.wait_group.sync.aligned 0;\n", again, 1), "missing wait: bulk copy at shared address 0x0, which a wgmma under way"},
		{"overwritten by others' stores", clearSums + fill + strings.Replace(product, "\twgmma.wait_group.sync.aligned 0;\n", "\tbar.sync 0;\n\tst.shared.u32 [memory], %t0;\n", 1), "which a wgmma under way"},
	} {
		if _, _, err := hopper(t, c.code, m, in, 128*64); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

// Registers go from warps that give them to those that ask; .maxntid leaves each thread 248 of them at first.
func TestRegisters(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"setmaxnreg.dec.sync.aligned.u32 40;\n\tsetmaxnreg.inc.sync.aligned.u32 248;", ""},
		{"setmaxnreg.dec.sync.aligned.u32 40;\n\tsetmaxnreg.inc.sync.aligned.u32 256;", "for 256 registers"},
		{"setmaxnreg.inc.sync.aligned.u32 40;", "setmaxnreg.inc to 40 registers, the warp has 248"},
		{"@%p7 setmaxnreg.dec.sync.aligned.u32 40;", "divergent"},
		{"setmaxnreg.dec.sync.aligned.u32 20;", "a multiple of 8 from 24 to 256"},
	} {
		_, _, err := hopper(t, c.code, nil, nil, 0)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.code, err, c.want)
		}
	}
}
