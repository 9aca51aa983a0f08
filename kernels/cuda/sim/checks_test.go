package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// Bugs of every class, planted. The kernel gets a buffer p of 256 words, initialised,
// a buffer q of 256 that is not, and runs as 2 blocks of 64 threads; %r0 is the
// thread's number in the block, %r1 the block's, %l0 and %l1 are p and q.
func TestPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		name, code string
		want       []string // all of it is in the message
	}{
		{"store out of bounds", `
	mad.lo.u32 %r2, %r1, 224, %r0;
	mul.wide.u32 %l2, %r2, 4;
	add.u64 %l2, %l1, %l2;
	st.global.u32 [%l2], %r2; // here`,
			[]string{"out of bounds: store of 4 bytes", "block [1 0 0], thread [32 0 0]", "bytes 1024 to 1027 of an allocation of 1024"}},
		{"load before an allocation", `
	ld.global.u32 %r2, [%l0+-4]; // here`,
			[]string{"out of bounds: load of 4 bytes", "block [0 0 0]", "no allocation is there"}},
		{"vector load across the end", `
	ld.global.v2.u32 {%r2, %r3}, [%l0+1016];
	ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%l0+1024]; // here`,
			[]string{"out of bounds: load of 16 bytes", "bytes 1024 to 1039"}},
		{"null pointer", `
	mov.u64 %l2, 0;
	ld.u32 %r2, [%l2]; // here`,
			[]string{"out of bounds: load", "0x0"}},
		{"misaligned", `
	ld.global.v2.u32 {%r2, %r3}, [%l0+4]; // here`,
			[]string{"misaligned: load of 8 bytes"}},
		{"misaligned shared", `
	mov.u32 %r2, s;
	ld.shared.u32 %r2, [%r2+2]; // here`,
			[]string{"misaligned: load of 4 bytes at shared address 0x2"}},
		{"uninitialised global", `
	mul.wide.u32 %l2, %r0, 4;
	add.u64 %l2, %l1, %l2;
	setp.eq.u32 %p0, %r0, 7;
	@!%p0 st.global.u32 [%l2], %r0;
	ld.global.u32 %r2, [%l2]; // here`,
			[]string{"uninitialised: load of 4 bytes at global", "thread [7 0 0]", "byte 28 of its allocation"}},
		{"uninitialised byte", `
	mul.wide.u32 %l2, %r0, 4;
	add.u64 %l2, %l1, %l2;
	st.global.u16 [%l2], %r0;
	st.global.u8 [%l2+2], %r0;
	ld.global.u32 %r2, [%l2]; // here`,
			[]string{"uninitialised: load of 4 bytes at global"}},
		{"uninitialised shared", `
	mov.u32 %r2, s;
	ld.shared.u32 %r2, [%r2+64]; // here`,
			[]string{"uninitialised: load at shared address 0x40"}},
		{"uninitialised local", `
	ld.local.u32 %r2, [stack+4]; // here`,
			[]string{"uninitialised: load of 4 bytes at local"}},
		{"local out of bounds", `
	ld.local.u32 %r2, [stack+16]; // here`,
			[]string{"out of bounds: load of 4 bytes at local"}},
		{"uninitialised register", `
	setp.lt.u32 %p0, %r0, 40;
	@%p0 mov.u32 %r2, 1;
	add.u32 %r3, %r2, 1; // here`,
			[]string{"reads a register that was never set", "thread [40 0 0]"}},
		{"shared out of bounds between arrays", `
	mov.u32 %r2, s;
	mad.lo.u32 %r2, %r0, 8, %r2;
	st.shared.u32 [%r2], %r0; // here`,
			[]string{"out of bounds: store at shared address 0x100", "thread [32 0 0]", "s at 0x0 has 256 bytes"}},
		{"read after write without a barrier", `
	mov.u32 %r2, s;
	shl.b32 %r3, %r0, 2;
	add.u32 %r3, %r2, %r3;
	st.shared.u32 [%r3], %r0;
	xor.b32 %r4, %r0, 32;
	shl.b32 %r4, %r4, 2;
	add.u32 %r4, %r2, %r4;
	bar.sync 0;
	st.shared.u32 [%r3], %r0; // here
	ld.shared.u32 %r5, [%r4]; // here`,
			[]string{"race: "}},
		{"write after write without a barrier", `
	mov.u32 %r2, s;
	st.shared.u32 [%r2+12], %r0; // here`,
			[]string{"race: store at shared address 0xc, which warp"}},
		{"write after read without a barrier", `
	mov.u32 %r2, s;
	setp.lt.u32 %p0, %r0, 32;
	@%p0 st.shared.u32 [%r2], %r0;
	bar.sync 0;
	ld.shared.u32 %r3, [%r2]; // here
	@!%p0 bra done;
	st.shared.u32 [%r2], %r3; // here`,
			[]string{"race: ", "at shared address 0x0, which warp"}},
		{"a lane reads what another of its warp wrote", `
	mov.u32 %r2, s;
	shl.b32 %r3, %r0, 2;
	add.u32 %r3, %r2, %r3;
	st.shared.u32 [%r3], %r0;
	xor.b32 %r4, %r3, 4;
	ld.shared.u32 %r5, [%r4]; // here`,
			[]string{"race within a warp: load at shared address", "without a bar.warp.sync"}},
		{"race between blocks, writes", `
	st.global.u32 [%l1+8], %r1; // here`,
			[]string{"race: store to global address", "another block"}},
		{"race between blocks, write and read", `
	setp.eq.u32 %p0, %r1, 0;
	mul.wide.u32 %l2, %r0, 4;
	add.u64 %l2, %l0, %l2;
	@%p0 bra skip;
	ld.global.u32 %r2, [%l2]; // here or below
	bra done;
skip:
	setp.eq.u32 %p0, %r0, 35;
	@%p0 st.global.u32 [%l2], %r0; // here`,
			[]string{"race: ", "global address", "thread [35 0 0]"}},
		{"barrier in divergent code", `
	and.b32 %r2, %r0, 1;
	setp.eq.u32 %p0, %r2, 0;
	@%p0 bra skip;
	bar.sync 0; // here
skip:
	st.global.u32 [%l1], %r0;`,
			[]string{"a barrier in divergent code: lanes 0xaaaaaaaa of 0xffffffff"}},
		{"barrier not for all warps", `
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bar.sync 1; // here
	@!%p0 bar.sync 2;`,
			[]string{"deadlock", "warp 0 at barrier 1, warp 1 at barrier 2"}},
		{"barriers that wait for different numbers", `
	setp.lt.u32 %p0, %r0, 32;
	@%p0 bar.sync 1, 64; // here
	@!%p0 bar.sync 1, 96; // here`,
			[]string{"barrier 1 is awaited by"}},
		{"endless loop", `
again:
	add.u32 %r0, %r0, 1; // here
	bra again; // here`,
			[]string{"no end after"}},
		{"shuffle from nobody", `
	setp.lt.u32 %p0, %r0, 4;
	@!%p0 bra done;
	shfl.sync.idx.b32 %r2, %r0, 9, 31, 15; // here`,
			[]string{"shuffle from lane 9, which is not active"}},
		{"shuffle waits for lanes that are elsewhere", `
	and.b32 %r2, %r0, 31;
	setp.lt.u32 %p0, %r2, 16;
	@%p0 bra skip;
	shfl.sync.bfly.b32 %r2, %r0, 1, 31, -1; // here
skip:
	st.global.u32 [%l1], %r0;`,
			[]string{"divergent: membermask 0xffffffff names lanes 0x0000ffff"}},
		{"matrix instruction in divergent code", `
	and.b32 %r2, %r0, 31;
	setp.lt.u32 %p0, %r2, 16;
	@%p0 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r2]; // here`,
			[]string{"divergent: only lanes 0x0000ffff"}},
		{"store to a constant", `
	mov.u64 %l2, table;
	st.global.u32 [%l2], %r0; // here`,
			[]string{"store to constant table"}},
		{"atomic out of bounds", `
	atom.global.add.u32 %r2, [%l0+1024], 1; // here`,
			[]string{"out of bounds: atomic operation"}},
		{"trap", `
	setp.eq.u32 %p0, %r0, 33;
	@%p0 trap; // here`,
			[]string{"gave up", "thread [33 0 0]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ptx := header + `
.const .align 4 .b8 table[8] = {1, 0, 0, 0, 2, 0, 0, 0};
.visible .entry k(.param .u64 p, .param .u64 q)
{
	.local .align 16 .b8 stack[16];
	.shared .align 4 .b8 s[256];
	.shared .align 4 .b8 other[256];
	.reg .pred %p<4>;
	.reg .b32 %r<8>;
	.reg .b64 %l<4>;
	ld.param.u64 %l0, [p];
	ld.param.u64 %l1, [q];
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
` + c.code + "\ndone:\n\tret;\n}\n"
			for seed := range uint64(4) {
				d := newDevice(t, sim.Options{Budget: 100000, Seed: seed})
				p, q := d.put(make([]uint32, 256)), d.alloc(1024)
				_, err := d.run(ptx, "k", 2, 64, 0, p, q)
				var fault *sim.Fault
				if !errors.As(err, &fault) {
					t.Fatalf("seed %d: error %v", seed, err)
				}
				for _, w := range append(c.want, "kernel k,", "at test.ptx line", "block [", "thread [", "// here") {
					if !strings.Contains(err.Error(), w) {
						t.Fatalf("seed %d: %q is not in: %v", seed, w, err)
					}
				}
				if line := strings.Split(ptx, "\n")[fault.Line-1]; strings.TrimSpace(line) != fault.Text {
					t.Fatalf("line %d is %q, the fault says %q", fault.Line, line, fault.Text)
				}
			}
		})
	}
}

// What looks like a bug of TestPlantedBugs and is none.
func TestNoFalseAlarms(t *testing.T) {
	for _, c := range []struct{ name, code string }{
		{"neighbouring bytes of one word by two warps", `
	mov.u32 %r2, s;
	add.u32 %r2, %r2, %r0;
	st.shared.u8 [%r2], %r0;
	ld.shared.u8 %r3, [%r2];`},
		{"neighbouring bytes by two blocks", `
	shl.b32 %r2, %r0, 1;
	add.u32 %r2, %r2, %r1;
	cvt.u64.u32 %l2, %r2;
	add.u64 %l2, %l1, %l2;
	st.global.u8 [%l2], %r0;`},
		{"barrier between write and read", `
	mov.u32 %r2, s;
	shl.b32 %r3, %r0, 2;
	add.u32 %r3, %r2, %r3;
	st.shared.u32 [%r3], %r0;
	bar.sync 0;
	xor.b32 %r4, %r0, 32;
	shl.b32 %r4, %r4, 2;
	add.u32 %r4, %r2, %r4;
	ld.shared.u32 %r5, [%r4];
	bar.sync 0;
	st.shared.u32 [%r3], %r5;`},
		{"lanes of a warp that wait for each other", `
	mov.u32 %r2, s;
	shl.b32 %r3, %r0, 2;
	add.u32 %r3, %r2, %r3;
	st.shared.u32 [%r3], %r0;
	ld.shared.u32 %r5, [%r3];
	bar.warp.sync -1;
	xor.b32 %r4, %r3, 4;
	ld.shared.u32 %r5, [%r4];`},
		{"a barrier of two warps made of arrive and sync", `
	mov.u32 %r2, s;
	setp.lt.u32 %p0, %r0, 32;
	@!%p0 bra wait;
	st.shared.u32 [%r2], 5;
	bar.arrive 1, 64;
	bra done;
wait:
	bar.sync 1, 64;
	ld.shared.u32 %r3, [%r2];`},
		{"threads that left early hold up no barrier", `
	setp.gt.u32 %p0, %r0, 40;
	@%p0 bra done;
	bar.sync 0;
	add.u32 %r2, %r0, 1;`},
		{"threads that left early, the other way round", `
	setp.le.u32 %p0, %r0, 40;
	@%p0 bra stay;
	ret;
stay:
	bar.sync 0;
	add.u32 %r2, %r0, 1;`},
		{"atomic operations of all", `
	mov.u32 %r2, s;
	setp.eq.u32 %p0, %r0, 0;
	@%p0 st.shared.u32 [%r2], 0;
	bar.sync 0;
	atom.shared.add.u32 %r3, [%r2], 1;
	atom.global.add.u32 %r3, [%l0], 1;`},
		{"a copy of a register that was never set", `
	mov.u32 %r2, %r3;
	setp.eq.u32 %p0, %r0, 99;
	selp.b32 %r4, %r2, %r0, %p0;
	add.u32 %r4, %r4, 1;`},
		{"the last block reads what the others wrote", `
	setp.ne.u32 %p0, %r0, 0;
	@%p0 bra done;
	mul.wide.u32 %l2, %r1, 4;
	add.u64 %l2, %l1, %l2;
	st.global.u32 [%l2], %r1;
	membar.gl;
	atom.global.add.u32 %r2, [%l0], 1;
	setp.ne.u32 %p1, %r2, 1;
	@%p1 bra done;
	membar.gl;
	ld.global.u32 %r3, [%l1];
	ld.global.u32 %r4, [%l1+4];`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ptx := header + `
.visible .entry k(.param .u64 p, .param .u64 q)
{
	.shared .align 4 .b8 s[256];
	.reg .pred %p<4>;
	.reg .b32 %r<8>;
	.reg .b64 %l<4>;
	ld.param.u64 %l0, [p];
	ld.param.u64 %l1, [q];
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
` + c.code + "\ndone:\n\tret;\n}\n"
			for seed := range uint64(4) {
				d := newDevice(t, sim.Options{Seed: seed})
				if _, err := d.run(ptx, "k", 2, 64, 0, d.put(make([]uint32, 256)), d.alloc(1024)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestUseAfterFree(t *testing.T) {
	d := newDevice(t, sim.Options{})
	a := d.put(make([]uint32, 4))
	if err := d.mem.Free(a); err != nil {
		t.Fatal(err)
	}
	_, err := d.run(header+`
.visible .entry k(.param .u64 p)
{
	.reg .b32 %r<2>;
	.reg .b64 %l<2>;
	ld.param.u64 %l0, [p];
	ld.global.u32 %r0, [%l0];
	ret;
}`, "k", 1, 32, 0, a)
	if err == nil || !strings.Contains(err.Error(), "was freed") {
		t.Fatalf("error %v", err)
	}
	if err := d.mem.Free(a); err == nil {
		t.Fatal("freed twice without an error")
	}
}

func TestLaunchErrors(t *testing.T) {
	ptx := header + `
.visible .entry k(.param .u64 p, .param .u32 n)
.maxntid 64, 1, 1
{
	.shared .align 4 .b8 s[1024];
	ret;
}`
	d := newDevice(t, sim.Options{})
	for _, c := range []struct {
		function    string
		grid, block int
		shared      int
		args        []any
		want        string
	}{
		{"k", 1, 32, 0, []any{uint64(0), int32(1)}, ""},
		{"x", 1, 32, 0, []any{uint64(0), int32(1)}, "no such kernel"},
		{"k", 1, 32, 0, []any{uint64(0)}, "8 bytes of arguments, the kernel takes 12"},
		{"k", 0, 32, 0, []any{uint64(0), int32(1)}, "grid [0 1 1]"},
		{"k", 1, 65, 0, []any{uint64(0), int32(1)}, "the kernel allows 64"},
		{"k", 1, 2048, 0, []any{uint64(0), int32(1)}, "block [2048 1 1]"},
		{"k", 1, 32, 163 << 10, []any{uint64(0), int32(1)}, "shared memory"},
	} {
		_, err := d.run(ptx, c.function, c.grid, c.block, c.shared, c.args...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

func TestUnknownInstructionIsNamed(t *testing.T) {
	for _, code := range []string{
		"tcgen05.fence::before_thread_sync;",
		"cp.async.bulk.commit_group;",
		"mbarrier.arrive_drop.shared.b64 _, [%l0];",
		"add.rn.f128 %r0, %r0, %r0;",
		"tex.2d.v4.f32.f32 {%r0, %r0, %r0, %r0}, [%l0, {%r0, %r0}];",
	} {
		d := newDevice(t, sim.Options{})
		_, err := d.run(header+".visible .entry k()\n{\n.reg .b32 %r<2>;\n.reg .b64 %l<2>;\n"+code+"\nret;\n}", "k", 1, 32, 0)
		if err == nil || !strings.Contains(err.Error(), "line 8") || !strings.Contains(err.Error(), strings.Fields(code)[0][:5]) || !strings.Contains(err.Error(), "not known") {
			t.Errorf("%s: error %v", code, err)
		}
	}
}

func TestMemory(t *testing.T) {
	mem := sim.NewMemory(1000)
	a, err := mem.Alloc(600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Alloc(600); !errors.Is(err, sim.ErrOutOfMemory) {
		t.Fatalf("error %v", err)
	}
	if err := mem.Write(a+590, make([]byte, 11)); err == nil {
		t.Fatal("a write beyond the end has no error")
	}
	if err := mem.Fill(a, 8, []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := mem.Copy(a+100, a+4, 8); err != nil { // of which 4 bytes hold values
		t.Fatal(err)
	}
	if n, err := mem.Written(a, 600); n != 12 || err != nil {
		t.Fatalf("%d bytes written, error %v", n, err)
	}
	b := make([]byte, 4)
	if err := mem.Read(a+101, b[:3]); err != nil || string(b[:3]) != "\x02\x01\x02" {
		t.Fatalf("read %v, error %v", b, err)
	}
	if err := mem.Poison(a, 8); err != nil {
		t.Fatal(err)
	}
	if n, _ := mem.Written(a, 600); n != 4 {
		t.Fatalf("%d bytes written after poisoning", n)
	}
	if err := mem.Free(a + 8); err == nil {
		t.Fatal("freed the middle of an allocation")
	}
	if err := mem.Free(a); err != nil || mem.Used() != 0 {
		t.Fatalf("error %v, %d bytes in use", err, mem.Used())
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := newDevice(t, sim.Options{})
	_, err := d.machine.Run(ctx, cuda.Call{Module: cuda.NewModule("m", header+".visible .entry k()\n{\nagain: bra again;\n}"), Function: "k", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}
