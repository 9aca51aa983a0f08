package sim_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/cuda/sim"
)

// shfl against the pseudo-code of the manual.
func TestShuffle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, mode := range []string{"up", "down", "bfly", "idx"} {
		for range 60 {
			a := random(r)
			b := lane(r.Uint32N(3), r.Uint32N(32))
			width := uint32(1) << r.IntN(6) // __shfl with a width: clamp and segment of cuda's headers
			c := uint32(0x1f)
			if mode == "up" {
				c = 0
			}
			c |= (32 - width) << 8
			code := fmt.Sprintf("mov.u32 %%t1, %d; shfl.sync.%s.b32 %%d0|%%p1, %%a0, %%a1, %%t1, -1; selp.u32 %%d1, 1, 0, %%p1;", c, mode)
			got := lanes(t, code, 2, a, b)
			for l := range 32 {
				bval, cval, mask := int(b[l]&31), int(c&31), int(c>>8&31)
				maxLane, minLane := l&mask|cval&^mask, l&mask
				var j int
				var ok bool
				switch mode {
				case "up":
					j = l - bval
					ok = j >= maxLane
				case "down":
					j = l + bval
					ok = j <= maxLane
				case "bfly":
					j = l ^ bval
					ok = j <= maxLane
				case "idx":
					j = minLane | bval&^mask
					ok = j <= maxLane
				}
				if !ok {
					j = l
				}
				if got[0][l] != a[j] || got[1][l] != truth(ok) {
					t.Fatalf("%s by %d, c %#x: lane %d got %#x (%d), want lane %d's %#x (%v)", mode, bval, c, l, got[0][l], got[1][l], j, a[j], ok)
				}
			}
		}
	}
}

func TestCollectives(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var a [32]uint32
	for i := range a {
		a[i] = r.Uint32N(4) - 1
	}
	members := uint32(0x00fffff0)
	code := `
	setp.ne.s32 %p1, %a0, 0;
	mov.u32 %t2, 0x00fffff0;
	mov.u32 %d0, 0; mov.u32 %d1, 0; mov.u32 %d2, 0; mov.u32 %d3, 0; mov.u32 %d4, 0; mov.u32 %d5, 0; mov.u32 %d6, 0;
	sub.u32 %t1, %t0, 4;
	setp.lt.u32 %p0, %t1, 20;
	@!%p0 bra done;
	vote.sync.ballot.b32 %d0, %p1, %t2;
	vote.sync.any.pred %p2, %p1, %t2;
	vote.sync.all.pred %p3, %p1, %t2;
	selp.u32 %d1, 1, 0, %p2;
	selp.u32 %t3, 2, 0, %p3;
	or.b32 %d1, %d1, %t3;
	match.any.sync.b32 %d2, %a0, %t2;
	redux.sync.add.s32 %d3, %a0, %t2;
	redux.sync.min.s32 %d4, %a0, %t2;
	redux.sync.xor.b32 %d5, %a0, %t2;
	activemask.b32 %d6;
	bar.warp.sync %t2;
done:`
	got := lanes(t, code, 7, a)
	var want [7]uint32
	least := int32(99)
	all := true
	for i := range a {
		if members>>i&1 == 0 {
			continue
		}
		if a[i] != 0 {
			want[0] |= 1 << i
			want[1] = 1
		} else {
			all = false
		}
		want[3] += a[i]
		least = min(least, int32(a[i]))
		want[5] ^= a[i]
	}
	if all {
		want[1] |= 2
	}
	want[4], want[6] = uint32(least), members
	for l := range 32 {
		w := want
		for i := range a {
			if members>>i&1 != 0 && a[i] == a[l] {
				w[2] |= 1 << i
			}
		}
		if members>>l&1 == 0 {
			w = [7]uint32{}
		}
		for k := range w {
			if got[k][l] != w[k] {
				t.Fatalf("lane %d, result %d is %#x, want %#x", l, k, got[k][l], w[k])
			}
		}
	}
}

// Control flow of every kind, against the same written in Go.
func TestControlFlow(t *testing.T) {
	for _, c := range []struct {
		name, code string
		want       func(i uint32) uint32
	}{
		{"if and else, nested", `
	and.b32 %t1, %t0, 1;
	setp.eq.u32 %p0, %t1, 0;
	mov.u32 %d0, 1;
	@%p0 bra even;
	add.u32 %d0, %d0, 10;
	setp.gt.u32 %p1, %t0, 16;
	@%p1 bra big;
	add.u32 %d0, %d0, 100;
big:
	add.u32 %d0, %d0, 1000;
	bra.uni join;
even:
	mul.lo.u32 %d0, %t0, 3;
join:
	add.u32 %d0, %d0, 1;
	activemask.b32 %t3;
	add.u32 %d0, %d0, %t3;`,
			func(i uint32) uint32 {
				switch {
				case i%2 == 0:
					return 3*i + 1 - 1
				case i > 16:
					return 1012 - 1
				}
				return 1112 - 1
			}},
		{"a loop that lanes leave at different times", `
	mov.u32 %d0, 0;
	mov.u32 %t1, 0;
loop:
	setp.ge.u32 %p0, %t1, %t0;
	@%p0 bra after;
	add.u32 %t1, %t1, 1;
	add.u32 %d0, %d0, %t1;
	bra loop;
after:
	activemask.b32 %t3;
	add.u32 %d0, %d0, %t3;`,
			func(i uint32) uint32 { return i*(i+1)/2 - 1 }},
		{"break and continue", `
	mov.u32 %d0, 0;
	mov.u32 %t1, 0;
loop:
	add.u32 %t1, %t1, 1;
	setp.gt.u32 %p0, %t1, 40;
	@%p0 bra after;
	xor.b32 %t2, %t1, %t0;
	and.b32 %t2, %t2, 3;
	setp.eq.u32 %p1, %t2, 0;
	@%p1 bra loop;
	setp.eq.u32 %p2, %t1, %t0;
	mul.lo.u32 %t3, %t0, 2;
	setp.gt.or.u32 %p2, %t1, %t3, %p2;
	@%p2 bra after;
	add.u32 %d0, %d0, %t1;
	bra loop;
after:`,
			func(i uint32) (sum uint32) {
				for k := uint32(1); k <= 40; k++ {
					if (k^i)&3 == 0 {
						continue
					}
					if k == i || k > 2*i {
						break
					}
					sum += k
				}
				return sum
			}},
		{"a table of branches", `
	and.b32 %t1, %t0, 3;
	mov.u32 %d0, 5;
ts:	.branchtargets L0, L1, L2, L1;
	brx.idx %t1, ts;
L0:
	add.u32 %d0, %d0, 1;
L1:
	add.u32 %d0, %d0, 10;
	bra.uni join;
L2:
	add.u32 %d0, %d0, 100;
join:
	activemask.b32 %t3;
	add.u32 %d0, %d0, %t3;`,
			func(i uint32) uint32 { return []uint32{16, 15, 105, 15}[i%4] - 1 }},
		{"a jump into the middle of a branch", `
	and.b32 %t1, %t0, 3;
	mov.u32 %d0, 0;
	setp.eq.u32 %p0, %t1, 0;
	setp.eq.u32 %p1, %t1, 1;
	@%p0 bra first;
	@%p1 bra middle;
	add.u32 %d0, %d0, 1;
	bra join;
first:
	add.u32 %d0, %d0, 10;
middle:
	add.u32 %d0, %d0, 100;
join:
	activemask.b32 %t3;
	add.u32 %d0, %d0, %t3;`,
			func(i uint32) uint32 { return []uint32{110, 100, 1, 1}[i%4] - 1 }},
		{"names of an inner scope", `
	mov.u32 %d0, 1;
	{
	.reg .b32 %d0;
	.reg .pred p;
	mov.u32 %d0, 7;
	setp.eq.u32 p, %d0, %t0;
	@p bra inner;
	mov.u32 %d0, 8;
inner:
	mov.u32 %t1, %d0;
	}
	add.u32 %d0, %d0, %t1;`,
			func(i uint32) uint32 {
				if i == 7 {
					return 8
				}
				return 9
			}},
	} {
		got := lanes(t, c.code, 1)[0]
		for i := range got {
			if want := c.want(uint32(i)); got[i] != want {
				t.Errorf("%s: lane %d is %d, want %d", c.name, i, int32(got[i]), int32(want))
				break
			}
		}
	}
}

// Functions that are called, with divergent returns and calls within calls.
func TestCalls(t *testing.T) {
	ptx := header + `
.func (.param .b32 result) twice(.param .b32 x)
{
	.reg .b32 %r<2>;
	ld.param.u32 %r0, [x];
	shl.b32 %r1, %r0, 1;
	st.param.b32 [result], %r1;
	ret;
}
.func (.param .b32 result) odd(.param .b32 x, .param .b64 to)
{
	.local .align 4 .b8 stack[8];
	.reg .pred %p<2>;
	.reg .b32 %r<4>;
	.reg .b64 %l<2>;
	ld.param.u32 %r0, [x];
	ld.param.u64 %l0, [to];
	st.local.u32 [stack+4], %r0;
	and.b32 %r1, %r0, 1;
	setp.ne.u32 %p0, %r1, 0;
	@%p0 bra one;
	st.param.b32 [result+0], 1000;
	ret;
one:
	{
	.param .b32 p0;
	st.param.b32 [p0+0], %r0;
	.param .b32 r0;
	call.uni (r0), twice, (p0);
	ld.param.b32 %r2, [r0+0];
	}
	ld.local.u32 %r3, [stack+4];
	add.u32 %r2, %r2, %r3;
	st.u32 [%l0], %r2;
	st.param.b32 [result+0], %r2;
	ret;
}
.visible .entry k(.param .u64 out)
{
	.local .align 4 .b8 mine[4];
	.reg .pred %p<2>;
	.reg .b32 %r<6>;
	.reg .b64 %l<6>;
	ld.param.u64 %l0, [out];
	mov.u32 %r0, %tid.x;
	mov.u64 %l3, mine;
	cvta.local.u64 %l3, %l3;
	st.local.u32 [mine], 7;
	{
	.param .b32 p0;
	.param .b64 p1;
	st.param.b32 [p0+0], %r0;
	st.param.b64 [p1+0], %l3;
	.param .b32 r0;
	call.uni (r0), odd, (p0, p1);
	ld.param.b32 %r1, [r0+0];
	}
	ld.local.u32 %r2, [mine];
	mad.lo.u32 %r1, %r2, 10000, %r1;
	mul.wide.u32 %l1, %r0, 4;
	add.u64 %l0, %l0, %l1;
	st.global.u32 [%l0], %r1;
	ret;
}`
	d := newDevice(t, sim.Options{})
	out := d.alloc(256)
	if _, err := d.run(ptx, "k", 1, 64, 0, out); err != nil {
		t.Fatal(err)
	}
	for i, got := range d.words(out, 64) {
		want := uint32(71000)
		if i%2 == 1 {
			want = uint32(3*i*10000 + 3*i)
		}
		if got != want {
			t.Fatalf("thread %d has %d, want %d", i, got, want)
		}
	}
}

// Barriers between warps, of a part of them, and that count.
func TestBarriers(t *testing.T) {
	ptx := header + `
.extern .shared .align 16 .b8 dynamic[];
.visible .entry k(.param .u64 out)
{
	.reg .pred %p<4>;
	.reg .b32 %r<12>;
	.reg .b64 %l<4>;
	ld.param.u64 %l0, [out];
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, dynamic;
	shl.b32 %r2, %r0, 2;
	add.u32 %r2, %r1, %r2;
	st.shared.u32 [%r2], %r0;
	setp.lt.u32 %p0, %r0, 50;
	barrier.cta.red.popc.aligned.u32 %r3, 0, %p0;
	bar.red.or.pred %p1, 0, %p0;
	bar.red.and.pred %p2, 0, %p0;
	selp.u32 %r4, 1, 0, %p1;
	selp.u32 %r5, 1, 0, %p2;
	sub.u32 %r6, 127, %r0;
	shl.b32 %r6, %r6, 2;
	add.u32 %r6, %r1, %r6;
	ld.shared.u32 %r7, [%r6];
	// halves of the block go on with barriers of their own
	setp.lt.u32 %p3, %r0, 64;
	selp.u32 %r8, 3, 4, %p3;
	bar.sync %r8, 64;
	st.shared.u32 [%r2+512], %r7;
	bar.sync %r8, 64;
	xor.b32 %r9, %r2, 128;
	ld.shared.u32 %r10, [%r9+512];
	mad.lo.u32 %r10, %r3, 1000, %r10;
	mad.lo.u32 %r10, %r4, 1000000, %r10;
	mad.lo.u32 %r10, %r5, 10000000, %r10;
	mul.wide.u32 %l1, %r0, 4;
	add.u64 %l0, %l0, %l1;
	st.global.u32 [%l0], %r10;
	ret;
}`
	for seed := range uint64(8) {
		d := newDevice(t, sim.Options{Seed: seed})
		out := d.alloc(512)
		if _, err := d.run(ptx, "k", 1, 128, 1024, out); err != nil {
			t.Fatal(err)
		}
		for i, got := range d.words(out, 128) {
			if want := uint32(1050000 + 127 - i ^ 32); got != uint32(1050000+(127-(i^32))) {
				t.Fatalf("seed %d: thread %d has %d, want %d", seed, i, got, want)
			}
		}
	}
}

// Atomic operations of many blocks add up, whatever the order and the workers.
func TestAtomics(t *testing.T) {
	ptx := header + `
.visible .entry k(.param .u64 p)
{
	.reg .b32 %r<8>;
	.reg .b64 %l<4>;
	ld.param.u64 %l0, [p];
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
	mad.lo.u32 %r2, %r1, 64, %r0;
	atom.global.add.u32 %r3, [%l0], %r2;
	red.global.max.u32 [%l0+4], %r2;
	atom.global.min.s32 %r3, [%l0+8], %r2;
	atom.global.or.b32 %r3, [%l0+12], %r2;
	atom.global.inc.u32 %r3, [%l0+16], 9;
	atom.global.cas.b32 %r3, [%l0+20], 0, 77;
	atom.global.add.u64 %l1, [%l0+24], 0x100000001;
	atom.global.exch.b32 %r3, [%l0+32], 5;
	atom.add.f32 %r4, [%l0+36], 0f3F800000;
	ret;
}`
	const n = 64 * 20
	d := newDevice(t, sim.Options{Workers: 4})
	p := d.put([]uint32{0, 0, 100, 0, 0, 0, 0, 0, 0, 0})
	if _, err := d.run(ptx, "k", 20, 64, 0, p); err != nil {
		t.Fatal(err)
	}
	or := uint32(0)
	for i := range uint32(n) {
		or |= i
	}
	want := []uint32{n * (n - 1) / 2, n - 1, 0, or, n % 10, 77, n, n, 5, 0x44a00000} // 1280.0
	for i, got := range d.words(p, 10) {
		if got != want[i] {
			t.Errorf("word %d is %d, want %d", i, got, want[i])
		}
	}
}

// Constants, initialised globals, addresses in initialisers, bytes and halves.
func TestVariables(t *testing.T) {
	ptx := header + `
.const .align 4 .b8 table[8] = {1, 0, 0, 0, 2, 0, 0, 128};
.global .align 8 .u64 pointer = table;
.global .align 8 .u64 second[2] = {generic(table)+4, 5};
.global .align 4 .f32 one = 0f3F800000;
.global .align 4 .u32 zeros[3];
.visible .entry k(.param .u64 out, .param .align 4 .b8 s[8], .param .u8 last)
{
	.reg .b16 %h<4>;
	.reg .b32 %r<12>;
	.reg .b64 %l<6>;
	ld.param.u64 %l0, [out];
	ld.const.u32 %r0, [table];
	ld.global.u64 %l1, [pointer];
	ld.u32 %r1, [%l1+4];
	ld.global.u64 %l2, [second];
	ld.global.s8 %r2, [%l2+3];
	ld.global.u8 %h0, [%l2+3];
	cvt.u32.u16 %r3, %h0;
	ld.global.b32 %r4, [one];
	ld.global.u32 %r5, [zeros+8];
	ld.param.v2.u32 {%r6, %r7}, [s];
	ld.param.s8 %r8, [last];
	mov.b64 %l3, s;
	ld.param.u32 %r9, [%l3+4];
	st.global.v4.u32 [%l0], {%r0, %r1, %r2, %r3};
	st.global.v4.u32 [%l0+16], {%r4, %r5, %r6, %r7};
	st.global.v2.u32 [%l0+32], {%r8, %r9};
	ret;
}`
	d := newDevice(t, sim.Options{})
	out := d.alloc(40)
	if _, err := d.run(ptx, "k", 1, 1, 0, out, []byte{1, 0, 0, 0, 2, 0, 0, 0, 0xfe}); err != nil {
		t.Fatal(err)
	}
	want := []uint32{1, 0x80000002, 0xffffff80, 0x80, 0x3f800000, 0, 1, 2, 0xfffffffe, 2}
	for i, got := range d.words(out, len(want)) {
		if got != want[i] {
			t.Errorf("word %d is %#x, want %#x", i, got, want[i])
		}
	}
}

func TestSpecialRegisters(t *testing.T) {
	names := []string{"%tid.x", "%ntid.x", "%ctaid.x", "%nctaid.x", "%laneid", "%warpid", "%nwarpid", "%lanemask_lt", "%lanemask_ge", "%lanemask_eq", "%dynamic_smem_size", "%tid.y"}
	var code strings.Builder
	for i, n := range names {
		fmt.Fprintf(&code, "mov.u32 %%r1, %s; st.global.u32 [%%l0+%d], %%r1;\n", n, 4*i)
	}
	ptx := header + fmt.Sprintf(`
.visible .entry k(.param .u64 out)
{
	.reg .b32 %%r<4>;
	.reg .b64 %%l<2>;
	ld.param.u64 %%l0, [out];
	mov.u32 %%r0, %%tid.x;
	mov.u32 %%r2, %%ctaid.x;
	mov.u32 %%r3, %%ntid.x;
	mad.lo.u32 %%r0, %%r2, %%r3, %%r0;
	mad.wide.u32 %%l0, %%r0, %d, %%l0;
	%s
	ret;
}`, 4*len(names), code.String())
	d := newDevice(t, sim.Options{})
	out := d.alloc(4 * len(names) * 120)
	if _, err := d.run(ptx, "k", 3, 40, 16, out); err != nil {
		t.Fatal(err)
	}
	got := d.words(out, len(names)*120)
	for i := range uint32(120) {
		x := i % 40
		l := x % 32
		want := []uint32{x, 40, i / 40, 3, l, x / 32, 2, 1<<l - 1, ^uint32(1<<l - 1), 1 << l, 16, 0}
		for k := range want {
			if g := got[int(i)*len(names)+k]; g != want[k] {
				t.Fatalf("thread %d: %s is %#x, want %#x", i, names[k], g, want[k])
			}
		}
	}
}
