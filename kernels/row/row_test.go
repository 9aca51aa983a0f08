package row

import (
	"bytes"
	"testing"
)

// pair has a gap of C before the second field, which the third fills.
type pair struct {
	A Flag
	_ uint32
	B uint64
	C float32
	D int32
}

func TestPut(t *testing.T) {
	to := bytes.Repeat([]byte{0xEE}, Bytes[pair](1)+Bytes[int64](2)+3)
	rest := Put(to, pair{A: If(true), B: 0x0102030405060708, C: 1, D: -2})
	rest = Put(rest, []int64{3, -1}...)
	want := []byte{
		1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0x80, 0x3F, 0xFE, 0xFF, 0xFF, 0xFF,
		3, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xEE, 0xEE, 0xEE,
	}
	if !bytes.Equal(to, want) {
		t.Errorf("% x, want % x", to, want)
	}
	if len(rest) != 3 {
		t.Errorf("%d bytes are left, want 3", len(rest))
	}
	p, images := pair{B: 1}, []int64{1, 2}
	if n := testing.AllocsPerRun(10, func() { Put(Put(to, p), images...) }); n > 0 {
		t.Errorf("a row allocates %v times", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a row that is too short was written")
		}
	}()
	Put(to[:3], p)
}
