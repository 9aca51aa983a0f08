package device

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/simdriver"
)

// opened is a device of a simulated driver as the environment wants it, and what it was noted.
func opened(t *testing.T, d cuda.Driver, notes *[]string) *CUDA {
	t.Helper()
	gpu, err := openOf(d, 0, func(text string) { *notes = append(*notes, text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gpu.Close(); err != nil {
			t.Error(err)
		}
	})
	return gpu
}

// add runs the plan of an adder so many times.
func add(t *testing.T, d *CUDA, times int) ([]float32, error) {
	t.Helper()
	a := newAdder(t, d.Target(), 2)
	m, err := d.Alloc(a.plan.Sizes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	place, total := a.plan.Place(a.total), make([]float32, adderWidth)
	g, err := d.Load(a.plan, m, place)
	if err != nil {
		return nil, err
	}
	defer g.Free()
	a.fed.Set(2)
	if err := errors.Join(g.Write(place, total), m.Fill(a.grads, 0), g.RunSteps(times, nil)); err != nil {
		return nil, err
	}
	return total, g.Read(place, total)
}

// TestLater: what runs came to is read when others have been launched behind them, however many.
func TestLater(t *testing.T) {
	d := opened(t, simdriver.New(simdriver.Options{}).Direct(), &[]string{})
	a := newAdder(t, d.Target(), 2)
	m, err := d.Alloc(a.plan.Sizes)
	if err != nil {
		t.Fatal(err)
	}
	place := a.plan.Place(a.total)
	g, err := d.Load(a.plan, m, place)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(g.Free(), m.Free()); err != nil {
			t.Error(err)
		}
	}()
	if err := errors.Join(g.Write(place, make([]float32, adderWidth)), m.Fill(a.grads, 0)); err != nil {
		t.Fatal(err)
	}
	var reads []func() ([]float32, error)
	for i := range 5 {
		a.fed.Set(float32(i))
		if err := Run(g); err != nil {
			t.Fatal(err)
		}
		reads = append(reads, Later(g, place))
	}
	for i, read := range reads {
		got, err := read()
		if want := float32(i * (i + 1) / 2); err != nil || len(got) != adderWidth || got[0] != want || got[adderWidth-1] != want {
			t.Errorf("run %d came to %v, %v; want %g", i, got, err, want)
		}
	}
}

// Without a graph, by choice or because the driver makes none, the same is computed.
func TestWithoutGraph(t *testing.T) {
	want, err := add(t, opened(t, simdriver.New(simdriver.Options{}).Direct(), &[]string{}), 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("asked for", func(t *testing.T) {
		t.Setenv(GraphVariable, "0")
		var notes []string
		s := simdriver.New(simdriver.Options{})
		got, err := add(t, opened(t, s.Direct(), &notes), 5)
		if err != nil || !slices.Equal(got, want) || notes != nil || s.Calls("cuGraphLaunch") != 0 || s.Calls("cuStreamBeginCapture") != 0 {
			t.Errorf("%v, want %v; %v; notes %q", got, want, err, notes)
		}
	})
	for _, call := range []string{"cuStreamBeginCapture", "cuGraphInstantiate"} {
		t.Run(call, func(t *testing.T) {
			var notes []string
			s := simdriver.New(simdriver.Options{})
			s.Inject(simdriver.Fault{Call: call, Number: 1, Result: cuda.OutOfMemory})
			got, err := add(t, opened(t, s.Direct(), &notes), 5)
			if err != nil || !slices.Equal(got, want) || len(notes) != 1 || !strings.Contains(notes[0], call) || !strings.Contains(notes[0], "one by one") {
				t.Errorf("%v, want %v; %v; notes %q", got, want, err, notes)
			}
		})
	}
}

// A driver that does not take the machine code is said to compile, once.
func TestRefused(t *testing.T) {
	var notes []string
	gpu := opened(t, simdriver.New(simdriver.Options{}).Direct(), &notes)
	gpu.device = refusing{gpu.device}
	for range 2 {
		if _, err := add(t, gpu, 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "compiles the kernels") || !strings.Contains(notes[0], "CUDA_ERROR_NO_BINARY_FOR_GPU") {
		t.Errorf("notes %q", notes)
	}
}

// refusing is a device whose driver refused machine code.
type refusing struct{ cuda.Device }

func (refusing) Refused() error {
	return &cuda.Error{Call: "cuModuleLoadDataEx", Result: cuda.NoBinaryForGPU, What: "module cast"}
}

// A kernel that fails within a graph is said to be named by launches one by one, and is.
func TestFaultIsNamed(t *testing.T) {
	operations := 0
	run := func(number int) error {
		s := simdriver.New(simdriver.Options{})
		s.Inject(simdriver.Fault{Call: simdriver.Operation, Number: number, Result: cuda.IllegalAddress})
		_, err := add(t, opened(t, s.Direct(), &[]string{}), 5)
		operations = s.Calls(simdriver.Operation)
		return err
	}
	if err := run(1 << 30); err != nil {
		t.Fatal(err)
	}
	last := operations - 3 // behind the writes, before what is read
	if err := run(last); err == nil || !errors.Is(err, cuda.IllegalAddress) || !strings.Contains(err.Error(), GraphVariable+"=0 names the kernel") {
		t.Errorf("within a graph: %v", err)
	}
	t.Setenv(GraphVariable, "0")
	if err := run(last); err == nil || !errors.Is(err, cuda.IllegalAddress) || !strings.Contains(err.Error(), "function pointwise.") && !strings.Contains(err.Error(), "function feed.") ||
		!strings.Contains(err.Error(), "launch ") || strings.Contains(err.Error(), GraphVariable) {
		t.Errorf("one by one: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	for variable, want := range map[string]string{GraphVariable: "want 0 (kernel by kernel) or 1", WarpgroupVariable: "want 0 (by mma.sync) or 1", WaitVariable: "want spin, block or auto"} {
		t.Setenv(variable, "maybe")
		if _, err := openOf(simdriver.New(simdriver.Options{}).Direct(), 0, nil); err == nil || !strings.Contains(err.Error(), variable+`="maybe", `+want) {
			t.Errorf("%s: %v", variable, err)
		}
		t.Setenv(variable, "")
	}
	t.Setenv(WaitVariable, "block")
	d := &several{list: []cuda.Properties{{Ordinal: 0, Major: 8, DriverVersion: cuda.OldestDriver}}}
	if firstGPU(func(string) {}, func(string) (cuda.Driver, error) { return d, nil }); d.waiting != cuda.WaitBlocking {
		t.Errorf("opened to wait by way %v", d.waiting)
	}
}

// several GPUs, some of which do not open.
type several struct {
	list    []cuda.Properties
	err     error
	opens   map[int]bool
	waiting cuda.Waiting
}

func (s *several) Devices() ([]cuda.Properties, error) { return s.list, s.err }

func (s *several) Open(ordinal int, w cuda.Waiting) (cuda.Device, error) {
	s.waiting = w
	if err := s.list[ordinal].Usable(); err != nil {
		return nil, err
	}
	if !s.opens[ordinal] {
		return nil, &cuda.Error{Call: "cuDevicePrimaryCtxRetain", Result: cuda.OutOfMemory}
	}
	return simdriver.New(simdriver.Options{}).Direct().Open(0, w)
}

// auto takes the first GPU that opens, and says of each before why it is not taken.
func TestFirstGPU(t *testing.T) {
	sick := cuda.Properties{Ordinal: 0, Problem: &cuda.Error{Call: "cuDeviceGetName", Result: cuda.ECCUncorrectable}}
	old := cuda.Properties{Ordinal: 1, Name: "GeForce RTX 2080", Major: 7, Minor: 5}
	full := cuda.Properties{Ordinal: 2, Name: "display", Major: 8, DriverVersion: cuda.OldestDriver}
	good := cuda.Properties{Ordinal: 3, Name: "good", Major: 8, DriverVersion: cuda.OldestDriver}
	for _, c := range []struct {
		name  string
		d     several
		taken string
		notes []string
	}{
		{"one of four", several{list: []cuda.Properties{sick, old, full, good}, opens: map[int]bool{3: true}}, "cuda:3",
			[]string{"cuda:0 is not used: cuDeviceGetName: CUDA_ERROR_ECC_UNCORRECTABLE", "cuda:1 is not used: open (GeForce RTX 2080): ", "cuda:2 is not used: cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY"}},
		{"none", several{list: []cuda.Properties{full}}, "", nil},
		{"no GPU", several{err: &cuda.Error{Call: "cuInit", Result: cuda.NoDevice}}, "", []string{}},
		{"no driver", several{err: &cuda.Error{Call: "cuInit", Result: cuda.NotInitialized}}, "", []string{}},
		{"after an update", several{err: &cuda.Error{Call: "cuInit", Result: cuda.SystemDriverMismatch, Detail: "restart"}}, "", []string{"no GPU is used: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: restart"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "none" {
				c.d.list[0].Ordinal, c.notes = 0, []string{"cuda:0 is not used: cuDevicePrimaryCtxRetain"}
			}
			var notes []string
			gpu := firstGPU(func(text string) { notes = append(notes, text) }, func(string) (cuda.Driver, error) { return &c.d, nil })
			if name := ""; gpu != nil {
				if name = gpu.Name(); name != c.taken {
					t.Errorf("%s is taken", name)
				}
				if err := gpu.Close(); err != nil {
					t.Error(err)
				}
			} else if c.taken != "" {
				t.Error("none is taken")
			}
			if !slices.EqualFunc(notes, c.notes, strings.HasPrefix) {
				t.Errorf("notes are %q, want %q", notes, c.notes)
			}
		})
	}
}
