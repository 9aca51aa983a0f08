package sim_test

import (
	"context"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Accesses of one warp whose counts can be worked out by hand. %l0 is the address
// of the lane's word of a buffer of 32 kB, %l1 that of the buffer, %t1 the lane.
func TestAccessCounters(t *testing.T) {
	for _, c := range []struct {
		what, code string
		loads      sim.Traffic
		stores     sim.Traffic
		shared     [3]int64 // requests, wavefronts, conflicts
	}{
		{what: "words side by side", code: "ld.global.u32 %t2, [%l0];", loads: sim.Traffic{Requests: 1, Sectors: 4, Ideal: 4, Bytes: 128}},
		{what: "not at the start of a sector", code: "ld.global.u32 %t2, [%l0+4];", loads: sim.Traffic{Requests: 1, Sectors: 5, Ideal: 4, Bytes: 128}},
		{what: "every second word", code: "mad.wide.u32 %l2, %t1, 8, %l1; ld.global.u32 %t2, [%l2];", loads: sim.Traffic{Requests: 1, Sectors: 8, Ideal: 4, Bytes: 128}},
		{what: "a sector each", code: "mad.wide.u32 %l2, %t1, 64, %l1; st.global.u32 [%l2], %t1;", stores: sim.Traffic{Requests: 1, Sectors: 32, Ideal: 4, Bytes: 128}},
		{what: "all the same word", code: "ld.global.u32 %t2, [%l1];", loads: sim.Traffic{Requests: 1, Sectors: 1, Ideal: 1, Bytes: 4}},
		{what: "backwards", code: "sub.u32 %t2, 31, %t1; mad.wide.u32 %l2, %t2, 4, %l1; ld.global.u32 %t2, [%l2];", loads: sim.Traffic{Requests: 1, Sectors: 4, Ideal: 4, Bytes: 128}},
		{what: "16 bytes a lane", code: "mad.wide.u32 %l2, %t1, 16, %l1; ld.global.v4.u32 {%t2, %t3, %t4, %t5}, [%l2];", loads: sim.Traffic{Requests: 1, Sectors: 16, Ideal: 16, Bytes: 512}},
		{what: "half of the lanes", code: "setp.lt.u32 %p0, %t1, 16; @%p0 st.global.u16 [%l0], %h0;", stores: sim.Traffic{Requests: 1, Sectors: 2, Ideal: 1, Bytes: 32}},
		{what: "asynchronous", code: "mad.wide.u32 %l2, %t1, 16, %l1; mad.lo.u32 %t2, %t1, 16, %t9; cp.async.cg.shared.global [%t2], [%l2], 16;", loads: sim.Traffic{Requests: 1, Sectors: 16, Ideal: 16, Bytes: 512}, shared: [3]int64{1, 4, 0}},
		{what: "shared, side by side", code: "mad.lo.u32 %t2, %t1, 4, %t9; st.shared.u32 [%t2], %t1;", shared: [3]int64{1, 1, 0}},
		{what: "shared, two lanes a bank", code: "mad.lo.u32 %t2, %t1, 8, %t9; st.shared.u32 [%t2], %t1;", shared: [3]int64{1, 2, 1}},
		{what: "shared, one bank for all", code: "mad.lo.u32 %t2, %t1, 128, %t9; st.shared.u32 [%t2], %t1;", shared: [3]int64{1, 32, 31}},
		{what: "shared, a row padded by a word", code: "mad.lo.u32 %t2, %t1, 132, %t9; st.shared.u32 [%t2], %t1;", shared: [3]int64{1, 1, 0}},
		{what: "shared, a word for all", code: "st.shared.u32 [%t9], %t1;", shared: [3]int64{1, 1, 0}},
		{what: "shared, bytes of the same words", code: "add.u32 %t2, %t1, %t9; st.shared.u8 [%t2], %t1;", shared: [3]int64{1, 1, 0}},
		{what: "shared, a word for two lanes each", code: "shr.u32 %t2, %t1, 1; mad.lo.u32 %t2, %t2, 4, %t9; st.shared.u32 [%t2], %t1;", shared: [3]int64{1, 1, 0}},
		{what: "shared, 8 bytes a lane", code: "mad.lo.u32 %t2, %t1, 8, %t9; st.shared.v2.u32 [%t2], {%t1, %t1};", shared: [3]int64{1, 2, 0}},
		{what: "shared, 16 bytes a lane", code: "mad.lo.u32 %t2, %t1, 16, %t9; st.shared.v4.u32 [%t2], {%t1, %t1, %t1, %t1};", shared: [3]int64{1, 4, 0}},
		{what: "shared, 16 bytes a lane, rows of 64", code: "mad.lo.u32 %t2, %t1, 64, %t9; st.shared.v4.u32 [%t2], {%t1, %t1, %t1, %t1};", shared: [3]int64{1, 16, 12}},
		{what: "ldmatrix, rows of 128 bytes", code: "mad.lo.u32 %t2, %t1, 16, %t9; st.shared.v4.u32 [%t2], {%t1, %t1, %t1, %t1}; st.shared.v4.u32 [%t2+512], {%t1, %t1, %t1, %t1}; bar.warp.sync -1; and.b32 %t2, %t1, 7; mad.lo.u32 %t2, %t2, 128, %t9; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%t3}, [%t2];", shared: [3]int64{3, 16, 7}},
		{what: "ldmatrix, rows side by side", code: "mad.lo.u32 %t2, %t1, 16, %t9; st.shared.v4.u32 [%t2], {%t1, %t1, %t1, %t1}; bar.warp.sync -1; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%t3, %t4, %t5, %t6}, [%t2];", shared: [3]int64{2, 8, 0}},
	} {
		ptx := header + `
.visible .entry k(.param .u64 p)
{
	.shared .align 128 .b8 s[4352];
	.reg .pred %p<2>;
	.reg .b16 %h<2>;
	.reg .b32 %t<10>;
	.reg .b64 %l<4>;
	ld.param.u64 %l1, [p];
	mov.u32 %t1, %tid.x;
	mov.u32 %t9, s;
	mov.u16 %h0, 7;
	mad.wide.u32 %l0, %t1, 4, %l1;
` + c.code + "\nret;\n}\n"
		d := newDevice(t, sim.Options{})
		got, err := d.run(ptx, "k", 1, 32, 0, d.put(make([]uint32, 8192)))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		shared := [3]int64{got.SharedRequests, got.SharedWavefronts, got.BankConflicts}
		if got.GlobalLoads != c.loads || got.GlobalStores != c.stores || shared != c.shared {
			t.Errorf("%s: loads %+v, stores %+v, shared %v; want %+v, %+v, %v", c.what, got.GlobalLoads, got.GlobalStores, shared, c.loads, c.stores, c.shared)
		}
	}
}

// Counts of whole kernels from their sources.
func TestKernelCounters(t *testing.T) {
	const n = 8192
	d := newDevice(t, sim.Options{})
	silu, _, _ := siluCall(d, n)
	c, err := d.machine.Run(context.Background(), silu)
	if err != nil {
		t.Fatal(err)
	}
	full := sim.Traffic{Requests: n / 8 / 32, Sectors: n * 2 / 32, Ideal: n * 2 / 32, Bytes: n * 2}
	if c.GlobalLoads != full || c.GlobalStores != full || full.SectorsPerRequest() != 16 {
		t.Errorf("SiLU loads %+v, stores %+v, want %+v", c.GlobalLoads, c.GlobalStores, full)
	}
	if want := int64(n / 32); c.Instructions[sim.SpecialFunction] != want { // one ex2 a number
		t.Errorf("SiLU has %d special functions, want %d", c.Instructions[sim.SpecialFunction], want)
	}
	const m = 128
	product, _, _, _ := sgemmCall(d, m)
	c, err = d.machine.Run(context.Background(), product)
	if err != nil {
		t.Fatal(err)
	}
	if c.FLOPs != 2*m*m*m || c.TensorFLOPs != 0 || c.Barriers != 2*(m/16)*8*4 {
		t.Errorf("the product has %d FLOPs and %d of tensors, %d warps came to barriers", c.FLOPs, c.TensorFLOPs, c.Barriers)
	}
	// Of a, each of m/64 columns of tiles reads all; likewise of b; c is written once.
	if c.GlobalLoads.Bytes != 2*m/64*m*m*4 || c.GlobalStores.Bytes != m*m*4 {
		t.Errorf("the product loads %d bytes and stores %d", c.GlobalLoads.Bytes, c.GlobalStores.Bytes)
	}
}

// Neither results nor counts depend on the order of warps or on how many blocks run at a time.
func TestDeterministic(t *testing.T) {
	var first sim.Counters
	var want []uint32
	for i, o := range []sim.Options{{Workers: 1}, {Workers: 4}, {Seed: 1, Workers: 3}, {Seed: 2, Workers: 1}} {
		d := newDevice(t, o)
		call, _, _, product := sgemmCall(d, 128)
		c, err := d.machine.Run(context.Background(), call)
		if err != nil {
			t.Fatal(err)
		}
		got := d.words(product, 128*128)
		if i == 0 {
			first, want = c, got
		}
		if c != first || !slices.Equal(got, want) {
			t.Fatalf("%+v: counters %+v, were %+v; results equal: %v", o, c, first, slices.Equal(got, want))
		}
	}
}

func TestTensorCounters(t *testing.T) {
	d := newDevice(t, sim.Options{})
	c, err := d.run(header+`
.visible .entry k()
{
	.reg .b32 %r<4>;
	mov.u32 %r0, 0;
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r0, %r1, %r2, %r3}, {%r0, %r0, %r0, %r0}, {%r0, %r0}, {%r0, %r0, %r0, %r0};
	ret;
}`, "k", 3, 64, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(3 * 2 * 2 * 16 * 8 * 16); c.TensorFLOPs != want || c.Instructions[sim.Tensor] != 6 {
		t.Errorf("%d FLOPs of tensors in %d instructions, want %d in 6", c.TensorFLOPs, c.Instructions[sim.Tensor], want)
	}
}

// A sample of the blocks counts for all of them.
func TestSample(t *testing.T) {
	const n = 64 * 1024
	all, some := newDevice(t, sim.Options{}), newDevice(t, sim.Options{Sample: 8})
	call, _, _ := siluCall(all, n)
	want, err := all.machine.Run(context.Background(), call)
	if err != nil {
		t.Fatal(err)
	}
	call, _, _ = siluCall(some, n)
	got, err := some.machine.Run(context.Background(), call)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("8 blocks of %v count %+v, all of them %+v", call.Grid, got, want)
	}
}

// Of blocks that differ some of each kind run, and of those that share something all of some: the last of five adds more.
func TestSampleOfKinds(t *testing.T) {
	const whole, tiles, parts = 10, 6, 5
	var counted []sim.Counters
	for _, sample := range []int64{0, 7} {
		d := newDevice(t, sim.Options{Sample: sample})
		call := cuda.Call{
			Module: cuda.NewModule("test", header+`
.visible .entry k(.param .u64 counts)
{
	.reg .pred %p;
	.reg .b32 %r<4>;
	.reg .b64 %rd<3>;
	.reg .f32 %f;
	mov.f32 %f, 0f3F800000;
	ld.param.u64 %rd0, [counts];
	mov.u32 %r0, %ctaid.x;
	sub.s32 %r1, %r0, 10;
	setp.lt.s32 %p, %r1, 0;
	@%p bra whole;
	add.f32 %f, %f, %f;
	div.u32 %r1, %r1, 5;
	mul.wide.u32 %rd1, %r1, 4;
	add.u64 %rd0, %rd0, %rd1;
	atom.global.add.u32 %r2, [%rd0], 1;
	setp.ne.u32 %p, %r2, 4;
	@%p bra done;
	atom.global.exch.b32 %r2, [%rd0], 0;
	add.f32 %f, %f, %f;
	add.f32 %f, %f, %f;
	bra done;
whole:
	add.f32 %f, %f, %f;
	add.f32 %f, %f, %f;
	add.f32 %f, %f, %f;
done:
	ret;
}`),
			Function: "k", Grid: [3]int{whole + tiles*parts, 1, 1}, Block: [3]int{1, 1, 1}, Args: cuda.Args(d.put(make([]uint32, tiles))),
			Split: cuda.Split{Whole: whole, Parts: parts},
		}
		for range 2 { // the second finds the counts as the first has
			c, err := d.machine.Run(context.Background(), call)
			if err != nil {
				t.Fatal(err)
			}
			counted = append(counted, c)
		}
	}
	for i, c := range counted {
		if want := int64(3*whole + tiles*(parts+2)); c.FLOPs != want || c.Instructions != counted[0].Instructions {
			t.Errorf("run %d: %d operations in %v, want %d in %v", i, c.FLOPs, c.Instructions, want, counted[0].Instructions)
		}
	}
}
