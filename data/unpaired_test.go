package data

import "testing"

// TestUnpaired: the input of an image is another at each position in the stream, and over a
// pass each input once.
func TestUnpaired(t *testing.T) {
	d, err := Open("unpaired:glyphs:letters,glyphs", Options{Size: Square(8), Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !Unpaired(d) || Inputs(d) == nil {
		t.Fatal("no inputs, or those of the images")
	}
	p := d.(*paired)
	n := p.inputs.Len()
	seen := make([]bool, n)
	for at := range int64(n) {
		seen[p.input(3, at)] = true
	}
	for i, was := range seen {
		if !was {
			t.Fatalf("input %d is never taken", i)
		}
	}
	if p.input(3, 5) != p.input(4, 5) || p.input(3, 5) == p.input(3, 6) {
		t.Error("the input follows from the position alone")
	}
}
