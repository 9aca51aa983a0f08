package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"fluxion/engine/device/model"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
	"fluxion/kernels/number"
)

// countedLaunch is a launch of an operator with what it counted.
type countedLaunch struct {
	Operator string        `json:"operator"`
	Operands string        `json:"operands"`
	Times    int           `json:"times"` // in all plans
	Ideal    int64         `json:"ideal_bytes"`
	Bytes    int64         `json:"bytes"` // of whole sectors, loads and stores
	Calls    []countedCall `json:"calls"`
}

// countedCall is one launch of a function.
type countedCall struct {
	Module             string             `json:"module"`
	Function           string             `json:"function"`
	Grid               [3]int             `json:"grid"`
	Block              [3]int             `json:"block"`
	Registers          map[string]int     `json:"registers"` // by GPU
	Shared             int                `json:"shared_bytes"`
	Blocks             map[string]int     `json:"blocks_per_multiprocessor"`
	Occupancy          map[string]float64 `json:"occupancy"`
	Spills             int                `json:"spill_bytes"`
	LoadSectors        float64            `json:"load_sectors_per_request"`
	StoreSectors       float64            `json:"store_sectors_per_request"`
	LoadIdeal          float64            `json:"load_sectors_over_ideal"`
	StoreIdeal         float64            `json:"store_sectors_over_ideal"`
	BankConflicts      int64              `json:"bank_conflicts"`
	SharedWavefronts   int64              `json:"shared_wavefronts"`
	TensorInstructions int64              `json:"tensor_instructions"`
	ScalarInstructions int64              `json:"scalar_instructions"`
	Instructions       map[string]int64   `json:"instructions"`
	TensorFLOPs        int64              `json:"tensor_flops"`
	FLOPs              int64              `json:"flops"`
}

func newCountedCall(call cuda.Call, c sim.Counters) countedCall {
	ratio := func(t sim.Traffic) float64 { return float64(t.Sectors) / float64(max(t.Ideal, 1)) }
	k := countedCall{
		Module: call.Module.Name, Function: call.Function, Grid: call.Grid, Block: call.Block,
		Registers: map[string]int{}, Blocks: map[string]int{}, Occupancy: map[string]float64{}, Instructions: map[string]int64{},
		LoadSectors: c.GlobalLoads.SectorsPerRequest(), StoreSectors: c.GlobalStores.SectorsPerRequest(),
		LoadIdeal: ratio(c.GlobalLoads), StoreIdeal: ratio(c.GlobalStores),
		BankConflicts: c.BankConflicts, SharedWavefronts: c.SharedWavefronts, TensorInstructions: c.Instructions[sim.Tensor],
		TensorFLOPs: c.TensorFLOPs, FLOPs: c.FLOPs,
	}
	for class := range sim.Classes {
		k.Instructions[class.String()] = c.Instructions[class]
		if class != sim.Tensor {
			k.ScalarInstructions += c.Instructions[class]
		}
	}
	for gpu := range cuda.Multiprocessors {
		if r, ok := call.Needs(gpu); ok {
			k.Registers[gpu], k.Shared = r.Registers, r.Shared+call.Shared
			k.Spills = max(k.Spills, r.Spills)
		}
		k.Blocks[gpu], k.Occupancy[gpu] = call.Occupancy(gpu)
	}
	return k
}

// countedLaunches is what was counted, as it is printed.
func countedLaunches(counts *model.Counts) (list []countedLaunch) {
	for _, d := range counts.Distinct {
		l := countedLaunch{Operator: d.Kernel.String(), Operands: model.Operands(d.Launch), Times: d.Times, Ideal: model.IdealBytes(d.Launch)}
		for _, c := range d.Calls {
			l.Bytes += 32 * (c.Counters.GlobalLoads.Sectors + c.Counters.GlobalStores.Sectors)
			l.Calls = append(l.Calls, newCountedCall(c.Call, c.Counters))
		}
		list = append(list, l)
	}
	return list
}

// printCounts prints a line for each function, over all its launches.
func printCounts(out io.Writer, o *benchKernelsOptions, precision number.Type, list []countedLaunch) error {
	type row struct {
		times, calls     int
		worst            countedCall
		bytes, ideal     int64
		conflicts, waves int64
		tensor, scalar   int64
	}
	rows := map[string]*row{}
	for _, l := range list {
		for _, c := range l.Calls {
			r := rows[c.Function]
			if r == nil {
				r = &row{worst: c}
				rows[c.Function] = r
			}
			n := int64(l.Times)
			r.times += l.Times
			r.calls = max(r.calls, len(l.Calls))
			r.conflicts += n * c.BankConflicts
			r.waves += n * c.SharedWavefronts
			r.tensor += n * c.TensorInstructions
			r.scalar += n * c.ScalarInstructions
			r.worst.LoadIdeal, r.worst.StoreIdeal = max(r.worst.LoadIdeal, c.LoadIdeal), max(r.worst.StoreIdeal, c.StoreIdeal)
			r.worst.Shared = max(r.worst.Shared, c.Shared)
			if len(l.Calls) == 1 {
				r.bytes, r.ideal = r.bytes+n*l.Bytes, r.ideal+n*l.Ideal
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Training and sampling steps, preset %s, batch %d, %v, counted on the simulator; nothing here is a time.\n\n", o.Preset, o.Batch, precision)
	b.WriteString("| function | launches | registers | shared | blocks/SM 80, 86, 89, 90a | sectors/load | sectors/store | sectors over ideal | bytes over ideal | conflicts/wavefronts | tensor instr. | other instr. |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		w := r.worst
		bytes := "" // a launch of several functions hands numbers from one to the next
		if r.ideal > 0 {
			bytes = fmt.Sprintf("%.2f", float64(r.bytes)/float64(r.ideal))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d, %d, %d, %d | %.1f | %.1f | %.2f, %.2f | %s | %d/%d | %d | %d |\n",
			name, r.times, w.Registers["sm_80"], w.Shared, w.Blocks["sm_80"], w.Blocks["sm_86"], w.Blocks["sm_89"], w.Blocks["sm_90a"],
			w.LoadSectors, w.StoreSectors, w.LoadIdeal, w.StoreIdeal, bytes, r.conflicts, r.waves, r.tensor, r.scalar)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
