package model

import (
	"context"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// published is a rate that somebody measured, of work that our kernels do, too.
type published struct {
	card    string
	what    string
	apart   bool    // not a figure of what the model is of: by wgmma, or of a card that is not stated
	clock   int64   // Hz, where it is known; 0: boost
	tflops  float64 // measured
	how     string
	source  string
	product func(base cuda.Address) gemm.CUDA
}

// Measured by others: matrix products and convolutions of bf16 or fp16 with sums in float32. What wgmma
// multiplied is there to say how far mma.sync is behind. Clocks of GeForce cards are above NVIDIA's boost
// when they are cool, so the model is rather too slow there.
var measured = []published{
	{"rtx5090", "16384×8192×1280", false, 0, 224.3, "torch.matmul", "main-horse.github.io/posts/5090-mm-perf", matrix(16384, 8192, 1280)},
	{"rtxpro6000", "8192×8192×8192", false, 1690e6, 243, "mma.sync, by hand; Max-Q, 300 W, 1.69 GHz by its log", "github.com/waynehacking8/blackwell-tensorcore-kernels", matrix(8192, 8192, 8192)},
	{"a100", "3×3 128→128, 8×224×224", true, 0, 125, "CUTLASS, mma.sync (card not stated)", "CUTLASS, documentation of its profiler", convolution(8, 224, 128, 128)},
	{"h100", "3×3 64→64, 32×56×56", true, 0, 237, "cuDNN, wgmma", "torch-mojo-backend, pull request 387", convolution(32, 56, 64, 64)},
	{"h100", "8192×8192×8192", true, 0, 750, "cuBLAS, wgmma", "github.com/waynehacking8/blackwell-tensorcore-kernels", matrix(8192, 8192, 8192)},
}

// Check is a published figure beside the model's.
type Check struct {
	Card      string  `json:"card"`
	What      string  `json:"what"`
	How       string  `json:"how"`
	Published float64 `json:"published"`
	Model     float64 `json:"model"`
	Unit      string  `json:"unit"`
	Error     float64 `json:"error"` // of the model, as a share
	Source    string  `json:"source"`
	Apart     bool    `json:"apart"` // not counted in the typical error: by wgmma, or of a card that is not stated
}

func (c Check) String() string {
	return fmt.Sprintf("%s, %s: published %.4g %s (%s), model %.4g: %+.0f %% [%s]", c.Card, c.What, c.Published, c.Unit, c.How, c.Model, 100*c.Error, c.Source)
}

// Published compares the model with what others measured.
func Published(ctx context.Context) ([]Check, error) {
	var checks []Check
	memory := sim.NewMemory(4 * apart)
	base, err := memory.AllocZero(4 * apart)
	if err != nil {
		return nil, err
	}
	machine := sim.New(memory, sim.Options{Sample: 2})
	for _, p := range measured {
		card, err := cuda.CardNamed(p.card)
		if err != nil {
			return nil, err
		}
		if p.clock != 0 {
			card.ClockHz = p.clock
		}
		rate, err := p.rate(ctx, machine, base, card)
		if err != nil {
			return nil, err
		}
		checks = append(checks, Check{p.card, p.what, p.how, p.tflops, rate, "TFLOP/s", rate/p.tflops - 1, p.source, p.apart})
	}
	// Norms: RMSNorm of 16384×4096 bf16, forward and backward, by cuDNN; a kernel that is bound by memory alone.
	card, err := cuda.CardNamed("h200")
	if err != nil {
		return nil, err
	}
	for _, n := range []struct {
		what string
		tbs  float64
	}{{"norm, 134 MB in and out", 3.71}, {"gradient of a norm", 3.80}} {
		rate := memoryShare * float64(card.Bandwidth) / 1e12
		checks = append(checks, Check{"h200", n.what, "cuDNN", n.tbs, rate, "TB/s", rate/n.tbs - 1, "cudnn-frontend, table of RMSNorm", false})
	}
	return checks, nil
}

// Typical is the root of the mean square of errors of what the model is of: mma.sync on a known card.
func Typical(checks []Check) float64 {
	sum, n := 0.0, 0
	for _, c := range checks {
		if !c.Apart {
			sum += c.Error * c.Error
			n++
		}
	}
	return math.Sqrt(sum / float64(n))
}

// rate is the model's, in TFLOP/s.
func (p published) rate(ctx context.Context, machine *sim.Machine, base cuda.Address, card cuda.Card) (float64, error) {
	product := p.product(base)
	product.Card = card
	seconds := 0.0
	for _, c := range product.Calls() {
		counters, err := machine.Run(ctx, c)
		if err != nil {
			return 0, err
		}
		bytes := 0
		for _, o := range []cuda.Operand{product.A, product.B, product.Out} {
			bytes += o.Rows * o.Cols * o.Type.Size()
		}
		b, err := Estimate(card, Call{c, counters}, float64(bytes))
		if err != nil {
			return 0, err
		}
		seconds += b.Seconds
	}
	taps := product.Y.Taps * product.X.Taps
	return 2 * float64(product.Out.Rows) * float64(product.Width) * float64(product.Depth*taps) / seconds / 1e12, nil
}

// apart is the bytes from one operand of a product to the next.
const apart = 272 << 20

func operand(base cuda.Address, at, rows, cols int) cuda.Operand {
	return cuda.Operand{Address: base + cuda.Address(at*apart), Type: number.BFloat16, Shape: tensor.Shape{rows, cols}, Rows: rows, Cols: cols, Pitch: cols}
}

func matrix(m, n, k int) func(cuda.Address) gemm.CUDA {
	return func(base cuda.Address) gemm.CUDA {
		return gemm.CUDA{Kind: gemm.NN, Walk: gemm.DenseWalk(1, m), Depth: k, Width: n,
			A: operand(base, 0, m, k), B: operand(base, 1, k, n), Out: operand(base, 2, m, n), Scratch: base + 3*apart}
	}
}

func convolution(images, side, in, out int) func(cuda.Address) gemm.CUDA {
	return func(base cuda.Address) gemm.CUDA {
		axis := gemm.Axis{Grid: side, Source: side, Origin: -1, Taps: 3, Out: side}
		rows := images * side * side
		return gemm.CUDA{Kind: gemm.NN, Walk: gemm.Walk{Images: images, Y: axis, X: axis, Stride: 1, Direction: 1, TapStep: 1, OutStep: 1, Side: 3}, Depth: in, Width: out,
			A: operand(base, 0, rows, in), B: operand(base, 1, 9*in, out), Out: operand(base, 2, rows, out), Scratch: base + 3*apart}
	}
}
