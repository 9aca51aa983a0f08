package sim_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/sim"
)

// header of the PTX that tests write by hand.
const header = ".version 8.1\n.target sm_80\n.address_size 64\n"

// device is a machine with a memory, and helpers that end the test on error.
type device struct {
	t       testing.TB
	mem     *sim.Memory
	machine *sim.Machine
}

func newDevice(t testing.TB, options sim.Options) *device {
	mem := sim.NewMemory(1 << 28)
	return &device{t, mem, sim.New(mem, options)}
}

func (d *device) alloc(n int) cuda.Address {
	d.t.Helper()
	a, err := d.mem.Alloc(n)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// put allocates and writes words.
func (d *device) put(values []uint32) cuda.Address {
	d.t.Helper()
	b := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	a := d.alloc(len(b))
	if err := d.mem.Write(a, b); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *device) words(a cuda.Address, n int) []uint32 {
	d.t.Helper()
	b := make([]byte, 4*n)
	if err := d.mem.Read(a, b); err != nil {
		d.t.Fatal(err)
	}
	values := make([]uint32, n)
	for i := range values {
		values[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return values
}

func (d *device) run(ptx, function string, grid, block, shared int, args ...any) (sim.Counters, error) {
	module := cuda.NewModule("test", ptx)
	return d.machine.Run(context.Background(), cuda.Call{
		Module: module, Function: function, Grid: [3]int{grid, 1, 1}, Block: [3]int{block, 1, 1}, Shared: shared, Args: cuda.Args(args...),
	})
}

// lanes runs code on one warp. Registers %a0, %a1, … hold the inputs, one value a
// lane; what the code leaves in %d0, %d1, … comes back. Shared memory s has 4096 bytes.
func lanes(t testing.TB, code string, outputs int, inputs ...[32]uint32) [][32]uint32 {
	t.Helper()
	out, err := tryLanes(t, code, outputs, inputs...)
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	return out
}

func tryLanes(t testing.TB, code string, outputs int, inputs ...[32]uint32) ([][32]uint32, error) {
	t.Helper()
	var ptx strings.Builder
	ptx.WriteString(header + `
.visible .entry k(.param .u64 in, .param .u64 out)
{
	.shared .align 16 .b8 s[4096];
	.reg .pred %p<8>;
	.reg .b16 %h<8>;
	.reg .b32 %a<16>, %d<16>, %t<16>;
	.reg .b64 %l<16>, %in, %out, %at;
	ld.param.u64 %in, [in];
	ld.param.u64 %out, [out];
	mov.u32 %t0, %tid.x;
	mul.wide.u32 %at, %t0, 4;
	add.u64 %in, %in, %at;
	add.u64 %out, %out, %at;
`)
	var values []uint32
	for i, v := range inputs {
		fmt.Fprintf(&ptx, "\tld.global.u32 %%a%d, [%%in+%d];\n", i, 128*i)
		values = append(values, v[:]...)
	}
	ptx.WriteString(code + "\n")
	for i := range outputs {
		fmt.Fprintf(&ptx, "\tst.global.u32 [%%out+%d], %%d%d;\n", 128*i, i)
	}
	ptx.WriteString("\tret;\n}\n")
	d := newDevice(t, sim.Options{})
	in := d.put(append(values, 0))
	out := d.alloc(128*outputs + 4)
	if _, err := d.run(ptx.String(), "k", 1, 32, 0, in, out); err != nil {
		return nil, err
	}
	result := make([][32]uint32, outputs)
	for i, v := range d.words(out, 32*outputs) {
		result[i/32][i%32] = v
	}
	return result, nil
}

// each is a value for all lanes.
func each(v uint32) (all [32]uint32) {
	for i := range all {
		all[i] = v
	}
	return all
}

func each32f(v float32) [32]uint32 { return each(math.Float32bits(v)) }

// lane is the lane's number times a plus b.
func lane(a, b uint32) (all [32]uint32) {
	for i := range all {
		all[i] = uint32(i)*a + b
	}
	return all
}

func random(r *rand.Rand) (all [32]uint32) {
	for i := range all {
		all[i] = r.Uint32()
	}
	return all
}
