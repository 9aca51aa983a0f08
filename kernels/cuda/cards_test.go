package cuda_test

import (
	"math"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// Rates as data sheets have them: dense, with sums in float32.
func TestPeaks(t *testing.T) {
	for _, c := range []struct {
		name         string
		major, minor int
		processors   int
		clock        int64
		bf16, fp32   float64 // TFLOP/s
		byMMA        float64
	}{
		{"NVIDIA GeForce RTX 3090", 8, 6, 82, 1695e6, 71, 35.6, 71},
		{"NVIDIA RTX A6000", 8, 6, 84, 1800e6, 154.8, 38.7, 154.8},
		{"NVIDIA A40", 8, 6, 84, 1740e6, 149.7, 37.4, 149.7},
		{"NVIDIA A10G", 8, 6, 80, 1710e6, 140, 35, 140},
		{"NVIDIA GeForce RTX 4090", 8, 9, 128, 2520e6, 165.2, 82.6, 165.2},
		{"NVIDIA RTX 6000 Ada Generation", 8, 9, 142, 2505e6, 364.2, 91.1, 364.2},
		{"NVIDIA L40S", 8, 9, 142, 2520e6, 362, 91.6, 362},
		{"NVIDIA L4", 8, 9, 58, 2040e6, 121, 30.3, 121},
		{"NVIDIA GeForce RTX 5090", 12, 0, 170, 2407e6, 209.5, 104.8, 209.5},
		{"NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 12, 0, 188, 2617e6, 503.8, 126, 503.8},
		{"NVIDIA A100-SXM4-80GB", 8, 0, 108, 1410e6, 312, 19.5, 312},
		{"NVIDIA H100 80GB HBM3", 9, 0, 132, 1830e6, 989.4, 61.8, 594},
		{"NVIDIA B200", 10, 0, 148, 1850e6, 2243, 70, 673},
		{"Orin", 8, 7, 16, 1300e6, 42.6, 5.3, 42.6},
		{"Thor", 11, 0, 20, 1575e6, 2070. / 8, 8.06, 77.4}, // of 2070 in fp4 with sparsity
	} {
		p := cuda.Properties{Name: c.name, Major: c.major, Minor: c.minor, Multiprocessors: c.processors, ClockHz: c.clock}
		card := cuda.CardOf(p)
		for _, r := range []struct {
			what      string
			got, want float64
		}{
			{"bf16", p.PeakFLOPS(number.BFloat16) / 1e12, c.bf16},
			{"float32", p.PeakFLOPS(number.Float32) / 1e12, c.fp32},
			{"mma.sync", card.TensorPeak() * float64(c.processors) / 1e12, c.byMMA},
		} {
			if math.Abs(r.got/r.want-1) > 0.03 {
				t.Errorf("%s: %.1f TFLOP/s of %s, want %.1f", c.name, r.got, r.what, r.want)
			}
		}
	}
	bf16 := func(major, minor int) float64 {
		return cuda.Properties{Major: major, Minor: minor, Multiprocessors: 1, ClockHz: 1}.PeakFLOPS(number.BFloat16)
	}
	if bf16(10, 3) != bf16(10, 0) || bf16(12, 1) != 2*bf16(12, 0) { // B300 as B200, and GB10 as professional cards
		t.Errorf("a multiprocessor of 10.3 does %g a cycle, of 12.1 %g", bf16(10, 3), bf16(12, 1))
	}
	if got := cuda.CardOf(cuda.Properties{Simulated: true, Major: 8, Multiprocessors: 108}); got != (cuda.Card{}) {
		t.Errorf("a simulated GPU is cut for %v", got)
	}
	if got := (cuda.Properties{Major: 13, Multiprocessors: 200, ClockHz: 2e9}).PeakFLOPS(number.BFloat16); got != 0 {
		t.Errorf("an unknown architecture does %v FLOP/s", got)
	}
}

// A row of the table and what the same card says of itself agree.
func TestCardsOfDevices(t *testing.T) {
	for _, c := range cuda.Cards() {
		named, err := cuda.CardNamed(c.Name)
		if err != nil || named != c {
			t.Errorf("%s: %v, %v", c.Name, named, err)
		}
		got := cuda.CardOf(cuda.Properties{Name: "NVIDIA " + c.Product, Major: c.Major, Minor: c.Minor, Multiprocessors: c.Multiprocessors, ClockHz: c.ClockHz})
		if got.Tensor != c.Tensor || got.Lanes != c.Lanes || got.Integers != c.Integers || got.Shared != c.Shared || got.Assembly != c.Assembly {
			t.Errorf("%s by its row %+v, by its architecture %+v", c.Name, c, got)
		}
	}
	for name, want := range map[string]string{"rtx2080": "do not multiply bf16", "rtx4080": "want one of rtx3090,"} {
		if _, err := cuda.CardNamed(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
