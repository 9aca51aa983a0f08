package sim

import (
	"slices"
	"testing"

	"fluxion/kernels/cuda"
)

func TestKernel(t *testing.T) {
	module := cuda.NewModule("kernel", `
.version 8.1
.target sm_80
.address_size 64
.global .align 8 .u64 total = 5;
.visible .entry mixed(.param .u8 a, .param .u64 b, .param .align 8 .b8 c[12], .param .f32 d)
.maxntid 256, 1, 1
{
	.shared .align 4 .b8 fixed[40];
	ret;
}
.func helper() { ret; }
`)
	memory := NewMemory(1 << 20)
	m := New(memory, Options{})
	k, err := m.Kernel(module, "mixed")
	if err != nil {
		t.Fatal(err)
	}
	// C's layout: each at a multiple of its own alignment.
	want := []Parameter{{0, 1}, {8, 8}, {16, 12}, {28, 4}}
	if !slices.Equal(k.Parameters, want) || k.Bytes() != 32 {
		t.Errorf("parameters %v in %d bytes, want %v in 32", k.Parameters, k.Bytes(), want)
	}
	if k.MaxBlock != 256 {
		t.Errorf("%d threads of a block, want 256", k.MaxBlock)
	}
	for _, name := range []string{"helper", "absent"} {
		if _, err := m.Kernel(module, name); err == nil {
			t.Errorf("%s is taken for a kernel", name)
		}
	}

	at, n, err := m.Variable(module, "total")
	if err != nil || n != 8 {
		t.Fatal(at, n, err)
	}
	m.Unload(module)
	if err := memory.Read(at, make([]byte, n)); err == nil {
		t.Error("a variable of an unloaded module is read")
	}
	again, _, err := m.Variable(module, "total") // loads it anew
	if err != nil || again == at {
		t.Errorf("loaded anew at %#x, before at %#x, %v", again, at, err)
	}
}
