package cuda

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/kernels/number"
)

// Card is a GPU as far as launches are cut by it and as their times are estimated. The
// zero Card is the one by which launches are cut where no GPU is known.
type Card struct {
	Name            string // as --device model:NAME takes it
	Product         string // a part of the name that the driver gives
	Major, Minor    int    // compute capability
	Assembly        string // the GPU of resources.tsv for which its kernels are assembled, or the nearest there is
	Multiprocessors int
	ClockHz         int64 // of the multiprocessors: boost
	Tensor          int   // bf16 FLOP a cycle of a multiprocessor, by mma.sync with sums in float32
	Warpgroup       int   // the same by wgmma, where products may use it
	Lanes           int   // float32 lanes of a multiprocessor
	Integers        int   // lanes of 32-bit integers
	Shared          int   // bytes of shared memory of a multiprocessor
	L2              int64 // bytes
	Bandwidth       int64 // bytes/s of its memory
	Memory          int64 // bytes
}

// cards are those that a model is asked for by name, a row each.
//
// Sources: NVIDIA's whitepapers of GA100, GA102 (professional: the same, with twice GeForce's
// rate for float32 sums), AD102, GH100, GB202 (appendices A: multiprocessors, boost clocks, L2,
// bandwidth, "peak BF16 tensor TFLOPS with FP32 accumulate", dense, from which Tensor follows); lanes
// and shared memory: CUDA C++ Programming Guide, "Arithmetic Instructions" and "Technical
// Specifications per Compute Capability". Of Hopper's 4096 FLOP a cycle, which wgmma reaches,
// mma.sync reaches 0.6 (arXiv 2402.13499, 2501.12084).
var cards = []Card{
	{"rtx3090", "RTX 3090", 8, 6, "sm_86", 82, 1695e6, 512, 0, 128, 64, 100 << 10, 6 << 20, 936e9, 24 << 30},
	{"a6000", "RTX A6000", 8, 6, "sm_86", 84, 1800e6, 1024, 0, 128, 64, 100 << 10, 6 << 20, 768e9, 48 << 30},
	{"rtx4090", "RTX 4090", 8, 9, "sm_89", 128, 2520e6, 512, 0, 128, 64, 100 << 10, 72 << 20, 1008e9, 24 << 30},
	{"rtx5090", "RTX 5090", 12, 0, "sm_120", 170, 2407e6, 512, 0, 128, 128, 100 << 10, 96 << 20, 1792e9, 32 << 30},
	{"rtxpro6000", "RTX PRO 6000 Blackwell", 12, 0, "sm_120", 188, 2617e6, 1024, 0, 128, 128, 100 << 10, 128 << 20, 1792e9, 96 << 30},
	{"a100", "A100", 8, 0, "sm_80", 108, 1410e6, 2048, 0, 64, 64, 164 << 10, 40 << 20, 2039e9, 80 << 30},
	{"h100", "H100", 9, 0, "sm_90a", 132, 1830e6, 2458, 4096, 128, 64, 228 << 10, 50 << 20, 3350e9, 80 << 30},
	{"h200", "H200", 9, 0, "sm_90a", 132, 1830e6, 2458, 4096, 128, 64, 228 << 10, 50 << 20, 4800e9, 141e9},
}

// Cards returns all that have a row.
func Cards() []Card { return slices.Clone(cards) }

// CardNames are the names that CardNamed knows.
func CardNames() []string {
	names := make([]string, len(cards))
	for i, c := range cards {
		names[i] = c.Name
	}
	return names
}

// CardNamed returns a row. A card without tensor cores for bfloat16 is refused by its reason.
func CardNamed(name string) (Card, error) {
	for _, c := range cards {
		if c.Name == name {
			return c, nil
		}
	}
	if slices.Contains(withoutBFloat16, name) {
		return Card{}, fmt.Errorf("%s has compute capability 7.x, whose tensor cores do not multiply bf16; the kernels need 8.0 (Ampere) or newer", name)
	}
	return Card{}, fmt.Errorf("no model of a card %q, want one of %s", name, strings.Join(CardNames(), ", "))
}

// withoutBFloat16 are cards of Volta and Turing that people have and may ask for.
var withoutBFloat16 = []string{"v100", "t4", "titanv", "titanrtx", "rtx2060", "rtx2070", "rtx2080", "rtx2080ti", "rtx5000", "rtx6000", "rtx8000"}

// architecture is what a multiprocessor does in a cycle, by compute capability.
type architecture struct {
	major, minor    int
	assembly        string
	tensor, dense   int // bf16 FLOP with sums in float32: by mma.sync, of GeForce where there are two rates; by the best instruction there is
	lanes, integers int
	shared          int
}

// architectures, by the sources of cards; 8.7 from "Jetson AGX Orin Series" (42.5 TFLOP/s of 16
// multiprocessors at 1.3 GHz), 10.x from the description of DGX B200, 11.0 and 12.1 from those of Thor and
// DGX Spark. Where wgmma's successors are, mma.sync is taken to reach what it does on Hopper.
var architectures = []architecture{
	{8, 0, "sm_80", 2048, 2048, 64, 64, 164 << 10},
	{8, 6, "sm_86", 512, 512, 128, 64, 100 << 10},
	{8, 7, "sm_86", 2048, 2048, 128, 64, 164 << 10},
	{8, 9, "sm_89", 512, 512, 128, 64, 100 << 10},
	{9, 0, "sm_90a", 2458, 4096, 128, 64, 228 << 10},
	{10, 0, "sm_100a", 2458, 8192, 128, 64, 228 << 10},
	{10, 3, "sm_100a", 2458, 8192, 128, 64, 228 << 10},
	{11, 0, "sm_100a", 2458, 8192, 128, 64, 228 << 10},
	{12, 0, "sm_120", 512, 512, 128, 128, 100 << 10},
	{12, 1, "sm_120", 1024, 1024, 128, 128, 100 << 10},
}

// architectureOf is that of a compute capability; of a variant that is not known the
// nearest before it.
func architectureOf(major, minor int) (found architecture) {
	for _, a := range architectures {
		if a.major == major && a.minor <= minor {
			found = a
		}
	}
	return found
}

// professional are words in the names of GPUs of 8.6, 8.9 and 12.0, beside "RTX PRO" and "RTX A…",
// whose tensor cores sum in float32 as fast as in float16; GeForce's do half as fast. From the data sheets.
var professional = []string{"A40", "A10", "A10G", "A16", "A2", "Ada", "L40", "L40S", "L40G", "L4"}

// CardOf is what a device is cut for: what it says of itself, and the rates of its
// architecture. A simulated one is the zero Card, so that its results stay as they are.
func CardOf(p Properties) Card {
	if p.Simulated {
		return Card{}
	}
	c := Card{
		Name: p.Name, Product: p.Name, Major: p.Major, Minor: p.Minor, Multiprocessors: p.Multiprocessors, ClockHz: p.ClockHz,
		L2: p.L2, Bandwidth: 2 * p.MemoryClockHz * int64(p.BusBits) / 8, Memory: p.Memory,
	}
	a := architectureOf(p.Major, p.Minor)
	c.Assembly, c.Tensor, c.Lanes, c.Integers, c.Shared = a.assembly, a.tensor, a.lanes, a.integers, a.shared
	if p.Major == 9 { // later ones have other instructions
		c.Warpgroup = a.dense
	}
	if isProfessional(p) {
		c.Tensor = 2 * a.tensor
	}
	return c
}

// isProfessional looks for whole words, so that "A10" is not found in "A100".
func isProfessional(p Properties) bool {
	if architectureOf(p.Major, p.Minor).tensor != 512 {
		return false
	}
	words := strings.Fields(strings.ReplaceAll(p.Name, "-", " "))
	for i, word := range words {
		if i > 0 && words[i-1] == "RTX" && (word == "PRO" || strings.HasPrefix(word, "A")) || slices.Contains(professional, word) {
			return true
		}
	}
	return false
}

// PeakFLOPS of all multiprocessors together by what a device says of itself, with the best
// instructions it has; 0 where that is not known.
func (p Properties) PeakFLOPS(precision number.Type) float64 {
	a := architectureOf(p.Major, p.Minor)
	rate := 2 * a.lanes
	if precision == number.BFloat16 {
		rate = a.dense
		if isProfessional(p) {
			rate *= 2
		}
	}
	return float64(rate) * float64(p.Multiprocessors) * float64(p.ClockHz)
}

// TensorPeak and ScalarPeak are FLOP/s of a multiprocessor.
func (c Card) TensorPeak() float64 { return float64(c.Tensor) * float64(c.ClockHz) }

// ScalarPeak is that of float32 on its lanes.
func (c Card) ScalarPeak() float64 { return 2 * float64(c.Lanes) * float64(c.ClockHz) }

func (c Card) String() string {
	if c == (Card{}) {
		return "a CUDA GPU"
	}
	return fmt.Sprintf("%s, %d multiprocessors", c.Name, c.Multiprocessors)
}
