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

var benchModule = &cuda.Module{Name: "bench", PTX: benchPTX}

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
