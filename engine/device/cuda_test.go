package device

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/cudatest"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/simdriver"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// testCUDA opens the GPU that tests use, the simulated one as a rule, until the end of the test.
func testCUDA(t testing.TB) *CUDA {
	t.Helper()
	t.Setenv(Variable, cudatest.Name())
	d, err := openCUDA(0, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// hostOnly is a kernel that runs on the CPU alone.
type hostOnly struct{ kernels.Signature }

func (hostOnly) Cost([]tensor.Shape, tensor.Shape) kernels.Cost { return kernels.Cost{} }
func (hostOnly) CPU(kernels.Launch) func(*cpu.Pool)             { return func(*cpu.Pool) {} }

// TestNoCUDAKernel: an operator that cannot run on a GPU is named.
func TestNoCUDAKernel(t *testing.T) {
	d := testCUDA(t)
	a := newAdder(t, d.Target(), 1)
	p, err := a.plan.Then(plan.Stage{Kernel: hostOnly{kernels.Signature{Name: "host only"}}, Out: plan.Ref{Node: a.x}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(p, alloc(t, d, p.Sizes)); err == nil || !strings.Contains(err.Error(), "host only") {
		t.Errorf("an operator without a CUDA kernel: %v", err)
	}
}

// TestRunCut: who waits for a launch is called when what comes until there is in the stream, and no
// more; the program runs as without, also kernel by kernel.
func TestRunCut(t *testing.T) {
	for _, singly := range []bool{false, true} {
		d := testCUDA(t)
		d.singly = singly
		a := newAdder(t, d.Target(), 1)
		a.plan.Cuts = []int{0, 1} // it is fed, the total, the copy of gradients
		m := alloc(t, d, a.plan.Sizes)
		if err := m.Fill(a.grads, 0); err != nil {
			t.Fatal(err)
		}
		g := loaded(t, d, a.plan, m)
		place := a.plan.Place(a.total)
		if err := g.Write(place, make([]float32, adderWidth)); err != nil {
			t.Fatal(err)
		}
		a.fed.Set(2)
		total := func(want float32) {
			t.Helper()
			got := make([]float32, adderWidth)
			if err := g.Read(place, got); err != nil || got[0] != want {
				t.Errorf("total %v (%v), want %v", got, err, want)
			}
		}
		var cuts []int
		err := RunCut(g, func(launch int) error {
			cuts = append(cuts, launch)
			total(float32(2 * launch))
			return nil
		})
		if err != nil || !slices.Equal(cuts, a.plan.Cuts) {
			t.Errorf("cuts %v, %v", cuts, err)
		}
		if err := g.RunSteps(3, nil); err != nil {
			t.Error(err)
		}
		total(8)
		enough := errors.New("enough")
		if err := RunCut(g, func(int) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("an error of who is called became %v", err)
		}
	}
}

// TestOpen: names, and what is missing in one line.
func TestOpen(t *testing.T) {
	t.Setenv(Variable, driver.Simulated)
	for name, want := range map[string]string{"auto": "cpu", "cpu": "cpu", "cuda": "cuda:0", "cuda:0": "cuda:0"} {
		d, err := Open(name, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Name() != want || d.Simulated() != (want != "cpu") {
			t.Errorf("%s opened %s, simulated %v", name, d.Name(), d.Simulated())
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"cuda:7", "cuda:x", "cuda:-1", "gpu", ""} {
		if _, err := Open(name, 1); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", name, err)
		}
	}
	t.Setenv(Variable, "other")
	if _, err := Open("cuda:0", 1); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("an unknown driver: %v", err)
	}
}

// TestOutOfMemory: the error says what was wanted, and nothing stays allocated.
func TestOutOfMemory(t *testing.T) {
	s := simdriver.New(simdriver.Options{Memory: 1 << 20})
	d, err := NewCUDA(s.Direct(), 0)
	if err != nil {
		t.Fatal(err)
	}
	room, err := d.Room()
	if err != nil || room > 1<<20 {
		t.Errorf("room for %d bytes, %v", room, err)
	}
	weights, grads := &plan.Buffer{Name: "params", Type: number.Float32}, &plan.Buffer{Name: "grads", Type: number.Float32, Transient: true}
	if _, err := d.Alloc(plan.Sizes{plan.Arena: 1 << 19, weights: 1 << 18, grads: 1 << 20}); !errors.Is(err, cuda.OutOfMemory) || !strings.Contains(err.Error(), "batch") {
		t.Errorf("too much memory: %v", err)
	}
	if again, err := d.Room(); err != nil || again != room {
		t.Errorf("room for %d bytes after that, %d before, %v", again, room, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if leaks := s.Leaks(); leaks != nil {
		t.Errorf("left: %v", leaks)
	}
}

// use does all that a program does on a device, and gives everything back
// whatever fails.
func use(t *testing.T, s *simdriver.Driver) (total []float32, err error) {
	d, err := NewCUDA(s.Direct(), 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	a := newAdder(t, d.Target(), 2)
	m, err := d.Alloc(a.plan.Sizes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Free()) }()
	place := a.plan.Place(a.total)
	g, err := d.Load(a.plan, m, place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Free()) }()
	total = make([]float32, adderWidth)
	if err := errors.Join(g.Write(place, total), m.Fill(a.grads, 0), m.Write(a.grads, 0, []float32{1})); err != nil {
		return nil, err
	}
	a.fed.Set(2)
	if err := g.RunSteps(5, nil); err != nil {
		return nil, err
	}
	if err := g.Launches(func(int) error { return nil }); err != nil {
		return nil, err
	}
	var x [1]float32
	if err := errors.Join(m.Read(a.sum, 0, x[:]), g.Read(place, total)); err != nil {
		return nil, err
	}
	if x[0] != 1 {
		t.Errorf("the copy of the gradients begins with %v", x[0])
	}
	return total, nil
}

// TestFaults makes every call fail in turn, once so that the device goes on and
// once so that it is lost: an error, no panic, nothing left behind, and never a
// wrong result.
func TestFaults(t *testing.T) {
	s := simdriver.New(simdriver.Options{})
	want := slices.Repeat([]float32{12}, adderWidth)
	if got, err := use(t, s); err != nil || !slices.Equal(got, want) {
		t.Fatalf("without faults: %v, %v", got, err)
	}
	calls, operations := s.Calls(""), s.Calls(simdriver.Operation)
	for _, c := range []struct {
		call   string
		count  int
		result cuda.Result
	}{
		{"", calls, cuda.OutOfMemory}, {"", calls, cuda.LaunchFailed}, {simdriver.Operation, operations, cuda.IllegalAddress},
	} {
		for i := 1; i <= c.count; i++ {
			s := simdriver.New(simdriver.Options{})
			s.Inject(simdriver.Fault{Call: c.call, Number: i, Result: c.result})
			got, err := use(t, s)
			if err == nil && !slices.Equal(got, want) {
				t.Errorf("%v at call %d of %d: no error and a wrong result, %v", c.result, i, c.count, got)
			}
			if err != nil && !errors.Is(err, c.result) {
				t.Errorf("%v at call %d of %d became %v", c.result, i, c.count, err)
			}
			if leaks := s.Leaks(); leaks != nil {
				t.Errorf("%v at call %d of %d leaves %v; %v", c.result, i, c.count, leaks, err)
			}
		}
	}
}
