package data

import "math"

// Kind is what the pixels of a set are.
type Kind uint8

const (
	Bytes  Kind = iota // 0 to 255, which a network sees as (2p−255)/255, from −1 to 1
	Floats             // float32, which a network sees as they are: latents, points
)

// String is the kind as checkpoints have it.
func (k Kind) String() string {
	if k == Floats {
		return "float32"
	}
	return "uint8"
}

// Size of a pixel's value, in bytes.
func (k Kind) Size() int {
	if k == Floats {
		return 4
	}
	return 1
}

// Pixels are values of images next to each other, NHWC, of one kind; the other is nil.
type Pixels struct {
	Bytes  []byte
	Floats []float32
}

// NewPixels has room for n values.
func NewPixels(k Kind, n int) Pixels {
	if k == Floats {
		return Pixels{Floats: make([]float32, n)}
	}
	return Pixels{Bytes: make([]byte, n)}
}

// Kind is what they are.
func (p Pixels) Kind() Kind {
	if p.Floats != nil {
		return Floats
	}
	return Bytes
}

// Len is the number of values.
func (p Pixels) Len() int { return len(p.Bytes) + len(p.Floats) }

// Slice returns the values from one up to another, in the same memory.
func (p Pixels) Slice(from, to int) Pixels {
	if p.Floats != nil {
		return Pixels{Floats: p.Floats[from:to]}
	}
	return Pixels{Bytes: p.Bytes[from:to]}
}

// Copy takes the values of others of the same kind.
func (p Pixels) Copy(from Pixels) {
	copy(p.Bytes, from.Bytes)
	copy(p.Floats, from.Floats)
}

// Values are what a network sees of them: bytes from −1 to 1, floats as they are.
func (p Pixels) Values(to []float32) {
	copy(to, p.Floats)
	for i, b := range p.Bytes {
		to[i] = float32(2*int(b)-255) / 255
	}
}

// Picture is them as the bytes of a picture: floats clipped to ±1, and rounded as the
// kernels that sample pictures do it (update.Pixel): in float32.
func (p Pixels) Picture(to []byte) {
	copy(to, p.Bytes)
	for i, x := range p.Floats {
		to[i] = byte(math.Floor(float64(float32(127.5*(min(max(x, -1), 1)+1))) + 0.5))
	}
}

// Clear sets all values to 0.
func (p Pixels) Clear() {
	clear(p.Bytes)
	clear(p.Floats)
}

// Example is one image of a set. Whoever asks for it brings the room for its pixels.
type Example struct {
	Pixels
	Class int    // −1: none
	Input Pixels // what the image is to be made of, where the set says (see Inputs); no room: it is not wanted
	Noise int64  // address of the noise it is trained with: Own, or 0 and up
	Part  uint64 // decides what is cut out of the image, where Fit.Varies; 0: its middle
	Size  Size   // of the image, where a set has several (see SizeOf); zero: the set's Shape
	At    int64  // position in the stream, of which the inputs of unpaired sets are a function

	// Draw fills standard normal numbers for a position in the stream, of which sets of
	// distributions (latents) draw; nil: their mean is wanted.
	Draw func(at int64, to []float32)
	// Mirror says that the mirrored image is wanted, of a set that holds it (latents).
	Mirror bool

	room   Pixels    // of NewExample, of which Pixels is as much as an image has
	stored []byte    // room for floats as a file has them
	drawn  []float32 // room for what Draw fills, and for what it is multiplied by
	input  *Example  // room for reading Input
}

// Own is the noise of an example that is paired with none: that of its position in
// the stream, another one each time that it comes.
const Own = -1

// NewExample has room for an example of a set.
func NewExample(d Dataset) *Example {
	room := NewPixels(d.Kind(), ValuesOf(d))
	return &Example{Pixels: room, room: room, Class: -1, Noise: Own}
}

// ReadShaped reads image i of the set that e is a NewExample of, in the shape in which it is trained
// on, and says which that is.
func (e *Example) ReadShaped(d Dataset, i int) (Size, error) {
	_, _, channels := d.Shape()
	e.Size, e.Class, e.Noise = SizeOf(d, i), -1, Own
	e.Pixels = e.room.Slice(0, e.Size.Height*e.Size.Width*channels)
	return e.Size, d.Read(i, e)
}

// ValuesOf an image of a set: height·width·channels.
func ValuesOf(d Dataset) int {
	h, w, c := d.Shape()
	return h * w * c
}
