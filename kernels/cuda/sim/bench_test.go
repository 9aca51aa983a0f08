package sim_test

import (
	"context"
	_ "embed"
	"encoding/binary"
	"math"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

//go:embed testdata/bench.ptx
var benchPTX string

var benchModule = cuda.NewModule("bench", benchPTX)

// siluCall is SiLU of n numbers of bf16 in all lanes.
func siluCall(d *device, n int) (call cuda.Call, x, y cuda.Address) {
	values := make([]uint32, n/2)
	for i := range values {
		values[i] = math.Float32bits(float32(2*i-n/2)/float32(n)*16)>>16 | math.Float32bits(float32(2*i+1-n/2)/float32(n)*16)&0xffff0000
	}
	x, y = d.put(values), d.alloc(2*n)
	return cuda.Call{
		Module: benchModule, Function: "silu", Grid: [3]int{n / 8 / 256, 1, 1}, Block: [3]int{256, 1, 1}, Args: cuda.Args(x, y, int32(n/8)),
	}, x, y
}

// sgemmCall is the product of two n × n matrices of small integers.
func sgemmCall(d *device, n int) (call cuda.Call, a, b []uint32, c cuda.Address) {
	a, b = make([]uint32, n*n), make([]uint32, n*n)
	for i := range a {
		a[i], b[i] = math.Float32bits(float32(i%7-3)), math.Float32bits(float32(i%11-5))
	}
	c = d.alloc(4 * n * n)
	return cuda.Call{
		Module: benchModule, Function: "sgemm", Grid: [3]int{n / 64, n / 64, 1}, Block: [3]int{256, 1, 1}, Args: cuda.Args(d.put(a), d.put(b), c, int32(n)),
	}, a, b, c
}

func TestSiLU(t *testing.T) {
	const n = 8192
	d := newDevice(t, sim.Options{})
	call, x, y := siluCall(d, n)
	if _, err := d.machine.Run(context.Background(), call); err != nil {
		t.Fatal(err)
	}
	in, out := make([]byte, 2*n), make([]byte, 2*n)
	d.mem.Read(x, in)
	d.mem.Read(y, out)
	for i := range n {
		number := func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16))
		}
		want := number(in) / (1 + math.Exp(-number(in)))
		if got := number(out); math.Abs(got-want) > math.Abs(want)/256+1e-30 {
			t.Fatalf("silu(%g) is %g, want %g", number(in), got, want)
		}
	}
}

func TestSGEMM(t *testing.T) {
	const n = 128
	d := newDevice(t, sim.Options{})
	call, a, b, c := sgemmCall(d, n)
	if _, err := d.machine.Run(context.Background(), call); err != nil {
		t.Fatal(err)
	}
	for i, got := range d.words(c, n*n) {
		want := float32(0)
		for k := range n {
			want += math.Float32frombits(a[i/n*n+k]) * math.Float32frombits(b[k*n+i%n])
		}
		if math.Float32frombits(got) != want {
			t.Fatalf("element %d is %g, want %g", i, math.Float32frombits(got), want)
		}
	}
}

func benchmark(b *testing.B, call func(d *device) cuda.Call) {
	d := newDevice(b, sim.Options{})
	c := call(d)
	lanes := int64(0)
	for b.Loop() {
		counters, err := d.machine.Run(context.Background(), c)
		if err != nil {
			b.Fatal(err)
		}
		lanes += counters.LaneInstructions
	}
	b.ReportMetric(float64(lanes)/b.Elapsed().Seconds()/1e6, "Mlanes/s")
}

func BenchmarkSiLU(b *testing.B) {
	benchmark(b, func(d *device) cuda.Call { c, _, _ := siluCall(d, 1<<18); return c })
}

func BenchmarkSGEMM(b *testing.B) {
	benchmark(b, func(d *device) cuda.Call { c, _, _, _ := sgemmCall(d, 256); return c })
}

// mmaPTX multiplies fragments from shared memory as the main loop of a matrix kernel does.
const mmaPTX = header + `
.visible .entry k(.param .u32 n)
{
	.shared .align 128 .b8 s[4096];
	.reg .pred %p<2>;
	.reg .b32 %r<40>;
	ld.param.u32 %r30, [n];
	mov.u32 %r31, %tid.x;
	mov.u32 %r32, s;
	mad.lo.u32 %r33, %r31, 16, %r32;
	mov.u32 %r34, 0x3f803f80;
	st.shared.v4.u32 [%r33], {%r34, %r34, %r34, %r34};
	bar.sync 0;
	and.b32 %r31, %r31, 31;
	mad.lo.u32 %r33, %r31, 16, %r32;
	mov.u32 %r0, 0;
	mov.u32 %r1, 0;
	mov.u32 %r2, 0;
	mov.u32 %r3, 0;
	mov.u32 %r4, 0;
	mov.u32 %r5, 0;
	mov.u32 %r6, 0;
	mov.u32 %r7, 0;
again:
	ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r8, %r9, %r10, %r11}, [%r33];
	ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r12, %r13, %r14, %r15}, [%r33+512];
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r0, %r1, %r2, %r3}, {%r8, %r9, %r10, %r11}, {%r12, %r13}, {%r0, %r1, %r2, %r3};
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r4, %r5, %r6, %r7}, {%r8, %r9, %r10, %r11}, {%r14, %r15}, {%r4, %r5, %r6, %r7};
	sub.u32 %r30, %r30, 1;
	setp.ne.u32 %p0, %r30, 0;
	@%p0 bra again;
	ret;
}`

func BenchmarkMMA(b *testing.B) {
	d := newDevice(b, sim.Options{})
	module := cuda.NewModule("mma", mmaPTX)
	flops := int64(0)
	for b.Loop() {
		c, err := d.machine.Run(context.Background(), cuda.Call{Module: module, Function: "k", Grid: [3]int{2, 1, 1}, Block: [3]int{128, 1, 1}, Args: cuda.Args(int32(1000))})
		if err != nil {
			b.Fatal(err)
		}
		flops += c.TensorFLOPs
	}
	b.ReportMetric(float64(flops)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
