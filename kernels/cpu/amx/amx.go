// Package amx executes the AMX instructions on bfloat16 in software: it runs any
// program of Linux on amd64 under ptrace, as a processor with AMX would run it. The
// program is not changed and needs to know nothing: it asks the system for the tiles,
// which are granted, and the instructions that the processor refuses are executed
// here. Where the processor has AMX, it executes them itself.
//
// Operations, the conditions of #UD and #GP, and the order and rounding of sums are
// those of the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
package amx

import "fmt"

// Operation is one of the instructions.
type Operation int

// The instructions of AMX-TILE and AMX-BF16.
const (
	LoadConfig Operation = iota
	StoreConfig
	Release
	Zero
	Load
	LoadOnce // Load with a hint to caches
	Store
	MultiplyBFloat16
)

func (o Operation) String() string {
	return [...]string{"LDTILECFG", "STTILECFG", "TILERELEASE", "TILEZERO", "TILELOADD", "TILELOADDT1", "TILESTORED", "TDPBF16PS"}[o]
}

// Instruction is a decoded instruction.
type Instruction struct {
	Operation
	Length int // bytes
	// Tile is written, or stored; First and Second are the factors of a product.
	Tile, First, Second int
	// The operand in memory: Base + Index·Scale + Displacement, where tiles have
	// Index·Scale from row to row. Registers are numbered as in machine code.
	Base, Index         int
	Scale, Displacement int64
}

// Registers that an address may lack, or be made of, beside 0 to 15.
const (
	NoRegister = -1
	RIP        = 16
)

func (i Instruction) String() string {
	switch i.Operation {
	case Release:
		return i.Operation.String()
	case Zero:
		return fmt.Sprintf("%v tmm%d", i.Operation, i.Tile)
	case MultiplyBFloat16:
		return fmt.Sprintf("%v tmm%d, tmm%d, tmm%d", i.Operation, i.Tile, i.First, i.Second)
	}
	address := register(i.Base)
	if i.Index != NoRegister {
		address += fmt.Sprintf("+%s*%d", register(i.Index), i.Scale)
	}
	if i.Displacement != 0 {
		address += fmt.Sprintf("%+d", i.Displacement)
	}
	switch i.Operation {
	case Load, LoadOnce:
		return fmt.Sprintf("%v tmm%d, [%s]", i.Operation, i.Tile, address)
	case Store:
		return fmt.Sprintf("%v [%s], tmm%d", i.Operation, address, i.Tile)
	}
	return fmt.Sprintf("%v [%s]", i.Operation, address)
}

func register(n int) string {
	switch {
	case n == NoRegister:
		return "0"
	case n < 8:
		return [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"}[n]
	case n == RIP:
		return "rip"
	}
	return fmt.Sprintf("r%d", n)
}
