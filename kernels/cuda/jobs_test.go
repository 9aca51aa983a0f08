package cuda

import (
	"encoding/binary"
	"slices"
	"testing"
)

// Jobs become as few launches as have room for them, of which each says what is whose.
func TestSideBySide(t *testing.T) {
	m := NewModule("some", "")
	job := func(function string, x, y, z int, arg uint64) Call {
		return OneJob(Call{Module: m, Function: function, Grid: [3]int{x, y, z}, Block: [3]int{32, 1, 1}, Args: Args(arg)}, 3)
	}
	calls := []Call{
		job("a", 2, 1, 1, 10), job("b", 1, 1, 1, 20), job("a", 3, 2, 2, 11), {Module: m, Function: "other"}, job("a", 1, 1, 1, 12), job("a", 4, 1, 1, 13),
	}
	before := slices.Clone(calls[0].Args)
	joined := SideBySide(calls)
	var names []string
	for _, c := range joined {
		names = append(names, c.Function)
	}
	if want := []string{"a", "b", "other", "a"}; !slices.Equal(names, want) {
		t.Fatalf("launches of %v, want %v", names, want)
	}
	if !slices.Equal(calls[0].Args, before) {
		t.Error("a call that was joined is another")
	}
	first := joined[0]
	if want := [3]int{2 + 12 + 1, 1, 1}; first.Grid != want {
		t.Errorf("grid %v, want %v", first.Grid, want)
	}
	var words []uint32
	for at := 0; at < len(first.Args); at += 4 {
		words = append(words, binary.LittleEndian.Uint32(first.Args[at:]))
	}
	// count, unused; first, across, down of four, the last without use; jobs
	want := []uint32{3, 0, 0, 2, 14, 0, 2, 3, 1, 0, 1, 2, 1, 0, 10, 0, 11, 0, 12, 0}
	if !slices.Equal(words, want) {
		t.Errorf("arguments %v, want %v", words, want)
	}
	if last := joined[3]; last.Grid != [3]int{4, 1, 1} || len(last.Jobs.List) != 1 {
		t.Errorf("the fourth of a: %v", last)
	}
}
