package gemm

import (
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// SumScratch is the working memory of Sum, in bytes.
func SumScratch(ps []CUDA) int { return 4 * len(ps) * ps[0].rows() * roundUp(ps[0].Width, 4) }

// Sum is the sum of products of one shape that have the same Out, Add and Scratch. Each leaves its result there, and
// they are added in their order, as blocks that share a sum are.
func Sum(ps []CUDA) []cuda.Call {
	first := ps[0]
	columns := roundUp(first.Width, 4)
	var calls []cuda.Call
	for i, p := range ps {
		a := p.access()
		c := fastest(p, a, 1, 1)
		args := p.leaving(p.arguments(c, a))
		args.Out += cuda.Address(4 * i * p.rows() * columns)
		call := p.call(c, a)
		call.Args = args.bytes()
		calls = append(calls, p.pack(call, a))
	}
	a := first.access()
	args := first.arguments(fastest(first, a, 1, 1), a)
	args.Partial, args.OutSplit, args.Splits = first.Scratch, int64(first.rows()*columns), int32(len(ps))
	return append(cuda.SideBySide(calls), first.adding(args, ceil(first.rows()*columns/4, 256)))
}

// leaving is the arguments of a product that leaves its result in scratch memory.
func (p CUDA) leaving(args arguments) arguments {
	columns := roundUp(p.Width, 4)
	args.Out, args.OutPitch, args.OutSplit = p.Scratch, int32(columns), int64(p.rows()*columns)
	args.Add, args.Bias, args.PerImage = 0, 0, 0
	args.Mapped, args.FloatOut, args.VectorOut = 0, 1, 1
	return args
}

// adding is the launch that adds up what was left, in so many blocks.
func (p CUDA) adding(args arguments, blocks int) cuda.Call {
	return cuda.OneJob(cuda.Call{
		Module: modules[p.A.Type], Function: fmt.Sprintf("gemm_sum_%s", suffix(p.A.Type)),
		Grid: [3]int{blocks, 1, 1}, Block: [3]int{256, 1, 1},
		Args: args.bytes(),
	}, mostProducts)
}

// pack makes small products jobs, which run side by side.
func (p CUDA) pack(call cuda.Call, a access) cuda.Call {
	if p.A.Type == number.Float32 && a == direct {
		return cuda.OneJob(call, mostProducts)
	}
	return call
}
