package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/setting"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/driver"
	"fluxion/kernels/cuda/nccl"

	"github.com/spf13/cobra"
)

func newDoctor() *cobra.Command {
	asJSON, blockings := false, "auto"
	c := &cobra.Command{
		Use:   "doctor",
		Short: "What this machine offers",
		Long: `Print the processor's features and the instruction set that would be used, the
threads this process may keep busy, the memory, the measured tile sizes, the GPUs
and the kernels that would run on them, what would join processes that train
together, and what is missing and how to get it.`,
		Example: "  fluxion doctor\n  FLUXION_CPU=avx2 fluxion doctor --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return doctor(console.NewFace(c.OutOrStdout(), asJSON), blockings)
		},
	}
	settings.Bind(c, setting.List{tuning.BlockingsSetting(&blockings)})
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// examination is what doctor found.
type examination struct {
	Version         string            `json:"version"`
	Go              string            `json:"go"`
	OS              string            `json:"os"`
	Arch            string            `json:"arch"`
	Features        []string          `json:"features"`
	InstructionSets []string          `json:"instruction_sets"`
	Selected        string            `json:"selected"`
	Why             string            `json:"selected_because"`
	Processors      int               `json:"processors"`
	Threads         int               `json:"threads"`
	Memory          int64             `json:"memory_bytes"`
	Available       int64             `json:"memory_available_bytes"` // as the memory check counts it
	MemoryLimit     int64             `json:"memory_limit_bytes"`     // of a control group; 0: none
	Blockings       machine.Blockings `json:"blockings"`
	CUDA            gpus              `json:"cuda"`
	Group           group             `json:"group"`
}

// group is by what processes that train together would be joined.
type group struct {
	Started     string   `json:"started,omitempty"` // by what, and how many
	Problem     string   `json:"problem,omitempty"` // of what a launcher says
	MPI         []string `json:"mpi"`
	MPIMissing  string   `json:"mpi_missing,omitempty"`
	NCCL        string   `json:"nccl,omitempty"`
	NCCLMissing string   `json:"nccl_missing,omitempty"`
}

func examineGroup() (g group) {
	started, problem := collective.Started()
	libraries, missing := collective.Libraries()
	g = group{Started: started, Problem: text(problem), MPI: append([]string{}, libraries...), MPIMissing: text(missing)}
	name := os.Getenv(device.NCCLVariable)
	if name == device.NoNCCL {
		g.NCCLMissing = device.NCCLVariable + "=" + name
		return g
	}
	l, err := nccl.Open(name)
	if g.NCCLMissing = text(err); err == nil {
		g.NCCL = fmt.Sprintf("%s (%s)", l, l.Path())
	}
	return g
}

// text is that of an error; "": there is none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// gpus is what the CUDA driver said.
type gpus struct {
	Driver  string `json:"driver"` // nvidia or sim
	Missing string `json:"missing,omitempty"`
	Devices []gpu  `json:"devices"`
}

type gpu struct {
	Name              string `json:"name"`
	Simulated         bool   `json:"simulated"`
	Device            string `json:"device"` // as --device takes it
	UUID              string `json:"uuid"`   // as CUDA_VISIBLE_DEVICES takes it
	Slice             bool   `json:"mig"`    // of a GPU
	ComputeCapability string `json:"compute_capability"`
	Memory            int64  `json:"memory_bytes"`
	Multiprocessors   int    `json:"multiprocessors"`
	CUDAVersion       string `json:"driver_cuda_version"`
	Needed            string `json:"needed_cuda_version"`
	Kernels           string `json:"kernels"`
}

func examine(blockings string) (examination, error) {
	limit, _ := cpu.MemoryLimit()
	k, err := cpu.Select("")
	if err != nil {
		return examination{}, fault.Usage(err)
	}
	why := "the widest that this processor has"
	if os.Getenv(cpu.Variable) != "" {
		why = cpu.Variable + " asks for it"
	}
	return examination{
		Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Features: cpu.Features(), InstructionSets: cpu.Names(), Selected: k.Name, Why: why,
		Processors: runtime.NumCPU(), Threads: cpu.Threads(),
		Memory: machine.Meminfo("MemTotal:"), Available: cpu.AvailableMemory(), MemoryLimit: limit, Blockings: machine.ExamineBlockings(blockings), CUDA: examineGPUs(), Group: examineGroup(),
	}, nil
}

func examineGPUs() gpus {
	g := gpus{Driver: os.Getenv(device.Variable), Devices: []gpu{}}
	if g.Driver == "" {
		g.Driver = driver.NVIDIA
	}
	d, err := driver.Select(g.Driver)
	if err != nil {
		g.Missing = err.Error()
		return g
	}
	list, err := d.Devices()
	if err != nil {
		g.Missing = err.Error()
		return g
	}
	if len(list) == 0 {
		g.Missing = "the driver is there, but no GPU"
	}
	for _, p := range list {
		g.Devices = append(g.Devices, gpu{
			Name: p.Name, Simulated: p.Simulated, Device: fmt.Sprintf("cuda:%d", p.Ordinal), UUID: p.UUID, Slice: p.Slice, ComputeCapability: fmt.Sprintf("%d.%d", p.Major, p.Minor),
			Memory: p.Memory, Multiprocessors: p.Multiprocessors,
			CUDAVersion: cuda.CUDAVersion(p.DriverVersion), Needed: cuda.CUDAVersion(cuda.OldestDriver), Kernels: kernelsFor(p),
		})
	}
	return g
}

// kernelsFor says which kernels a GPU would run, and why.
func kernelsFor(p cuda.Properties) string {
	var e *cuda.Error
	switch err := p.Usable(); {
	case errors.As(err, &e) && p.Problem == nil:
		return "none: " + e.Detail
	case err != nil:
		return fmt.Sprintf("none: %v", err)
	case p.Simulated:
		return "PTX for compute_80, executed on the CPU: for tests, its times mean nothing"
	}
	how := "PTX for compute_80, compiled by the driver when it is first used, which takes seconds"
	if code := p.Code(); code != "" {
		how = "machine code for " + code
	}
	how += ": bf16 products on tensor cores with mma.sync"
	if p.Slice {
		how += fmt.Sprintf("; a slice of a GPU (MIG), of which a process sees one: CUDA_VISIBLE_DEVICES=%s is this, nvidia-smi -L lists them", p.UUID)
	}
	return how
}

func doctor(face console.Face, blockings string) error {
	e, err := examine(blockings)
	if err != nil {
		return err
	}
	return face.Result(e, e.print)
}

// print writes the examination as text.
func (e examination) print(out io.Writer) error {
	quota := ""
	if e.Threads < e.Processors {
		quota = " (a quota of the control group)"
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s"+format+"\n", append([]any{name}, args...)...)
	}
	line("program", "%s, %s, %s/%s", e.Version, e.Go, e.OS, e.Arch)
	line("cpu", "%d processors, %d threads to use%s; %s", e.Processors, e.Threads, quota, strings.Join(e.Features, " "))
	line("kernels", "%s: %s; there are %s (%s forces one)", e.Selected, e.Why, strings.Join(e.InstructionSets, ", "), cpu.Variable)
	line("memory", "%s", memoryText())
	line("blockings", "%v", e.Blockings)
	for _, g := range e.CUDA.Devices {
		line(g.Device, "%s, %s, compute capability %s, %d multiprocessors, %s, a driver of CUDA %s (%s is needed)", g.Name, g.UUID, g.ComputeCapability, g.Multiprocessors, console.Size(g.Memory), g.CUDAVersion, g.Needed)
		line("", "%s", g.Kernels)
	}
	if e.CUDA.Missing != "" {
		line("cuda", "%s", e.CUDA.Missing)
	}
	line("processes", "%s", cmp.Or(e.Group.Problem, e.Group.Started, "this one alone: no launcher started it with others"))
	line("mpi", "%s", cmp.Or(strings.Join(e.Group.MPI, "; "), e.Group.MPIMissing))
	line("nccl", "%s", cmp.Or(e.Group.NCCL, e.Group.NCCLMissing))
	_, err := io.WriteString(out, b.String())
	return err
}

func memoryText() string {
	text := "not known on this system"
	if total := machine.Meminfo("MemTotal:"); total > 0 {
		text = fmt.Sprintf("%s, %s available", console.Size(total), console.Size(cpu.AvailableMemory()))
	}
	if limit, left := cpu.MemoryLimit(); limit > 0 {
		text += fmt.Sprintf(" (a control group allows %s, of which %s are left)", console.Size(limit), console.Size(left))
	}
	return text
}
