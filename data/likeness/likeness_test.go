package likeness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// formula is a picture of whole numbers, with edges and slopes.
func formula(height, width, channels, k int) []byte {
	pixels := make([]byte, 0, height*width*channels)
	for y := range height {
		for x := range width {
			for z := range channels {
				v := 128 + (x*(k+3)*97/width)%200 - (y*(2*k+1)*211/height)%128 + (x*y*(k+1)/7+z*31)%60
				pixels = append(pixels, byte(min(max(v, 0), 255)))
			}
		}
	}
	return pixels
}

// TestHash: the values of imagehash.phash 4.3.2 on Pillow's pictures.
func TestHash(t *testing.T) {
	for _, c := range []struct {
		height, width, channels, k int
		want                       Hash
	}{
		{32, 32, 1, 0, 0x8bb9e4ec13ace21a},
		{32, 32, 3, 1, 0x8c918794b0f3a3f5},
		{28, 28, 1, 2, 0x860f3cf863664cd9},
		{64, 64, 3, 3, 0x83d480fc90fcfcb4},
		{45, 70, 3, 4, 0x8101ecac8efe8cde},
		{150, 100, 3, 5, 0x80b304efe783eba2},
		{16, 16, 3, 6, 0x8087af9cb2e0e7e2},
		{32, 32, 1, 7, 0x8082071f9fbf543e},
	} {
		pixels := formula(c.height, c.width, c.channels, c.k)
		if got := NewHasher(c.height, c.width, c.channels).Hash(pixels); got != c.want {
			t.Errorf("%d×%d×%d, %d: %v, want %v", c.height, c.width, c.channels, c.k, got, c.want)
		}
	}
	for _, v := range []byte{0, 1, 200, 255} { // only the mean, if anything, is above the median
		if got := NewHasher(9, 7, 1).Hash(slices.Repeat([]byte{v}, 63)); got != 1<<63 && v > 0 || got != 0 && v == 0 {
			t.Errorf("a blank picture of %d: %v", v, got)
		}
	}
}

// near is a hash in which n bits are others.
func near(random *rand.Rand, h Hash, n int) Hash {
	for _, b := range random.Perm(64)[:n] {
		h ^= 1 << b
	}
	return h
}

// TestPairs: as comparing all with all finds them, each once, whatever the radius.
func TestPairs(t *testing.T) {
	const found = -1
	random := rand.New(rand.NewPCG(1, 2))
	var hashes []Hash
	for range 40 {
		h := Hash(random.Uint64())
		for range 20 {
			hashes = append(hashes, near(random, h, random.IntN(12)))
		}
	}
	hashes = append(hashes, 0, 0xffffffffffffffff, 0, 0xffff)
	for radius := range MaxRadius + 1 {
		want := map[[2]int32]int{}
		for i, a := range hashes {
			for j, b := range hashes[:i] {
				if d := a.Distance(b); d <= radius {
					want[[2]int32{int32(j), int32(i)}] = d
				}
			}
		}
		err := pairs(context.Background(), hashes, radius, visits(func(i, j int32, d int) {
			at := [2]int32{i, j}
			if want[at] != d {
				t.Errorf("radius %d: %d and %d at %d, want %d", radius, i, j, d, want[at])
			}
			want[at] = found
		}))
		for at, d := range want {
			if d != found {
				t.Errorf("radius %d: %v at %d are not found", radius, at, d)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("stopped"))
	if err := pairs(ctx, hashes, 1, visits(func(int32, int32, int) {})); err == nil || err.Error() != "stopped" {
		t.Error(err)
	}
}

// visits is a visitor that wants to be told of all pairs.
func visits(like func(i, j int32, distance int)) visitor {
	return visitor{like, func(int32) (int32, bool) { return 0, false }, func(int) {}}
}

// TestGroupsOfThousands: where thousands of pictures are nearly the same, each is compared with
// some of its group, which is whole all the same; that does not take the time of all pairs, and
// ends when it is told to.
func TestGroupsOfThousands(t *testing.T) {
	const n, groupsOf = 30_000, 3
	random := rand.New(rand.NewPCG(3, 4))
	marks := make([]Mark, n)
	for i := range marks {
		group := uint64(i % groupsOf)
		marks[i].Hash = near(random, Hash(0x0123456789abcdef*(group+1)), random.IntN(3))
		for k := range len(marks[i].Small) {
			marks[i].Small[k] = byte(k*(int(group)+3)) ^ byte(random.IntN(4))
		}
	}
	told, calls := 0, 0
	groups, err := Groups(context.Background(), marks, Options{Bits: 8, Correlation: 0.9}, func(n int) {
		calls++
		if n < told {
			t.Errorf("%d pictures were looked up, after %d", n, told)
		}
		told = n
	})
	if err != nil || len(groups) != groupsOf || told > n || calls < 10 {
		t.Fatalf("%d groups, %v; told %d times, at last of %d", len(groups), err, calls, told)
	}
	for _, g := range groups {
		if len(g) != n/groupsOf || g[0].Index%groupsOf != g[len(g)-1].Index%groupsOf {
			t.Errorf("a group of %d pictures, want %d", len(g), n/groupsOf)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	after := 0
	_, err = Groups(ctx, marks, Options{Bits: 8, Correlation: 0.9}, func(int) {
		cancel()
		if after++; after > 1 {
			t.Fatal("it goes on though it is told to end")
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestGroups: what is like a picture that is like a third is of one group with it; what
// has a like hash and other pixels is of none.
func TestGroups(t *testing.T) {
	h := NewHasher(32, 32, 1)
	picture := formula(32, 32, 1, 0)
	changed := func(f func(i int, v byte) byte) []byte {
		p := slices.Clone(picture)
		for i, v := range p {
			p[i] = f(i, v)
		}
		return p
	}
	duller := changed(func(_ int, v byte) byte { return v/2 + 60 })
	noisy := changed(func(i int, v byte) byte { return byte(min(max(int(v)+(i*7919)%25-12, 0), 255)) })
	other, blank := formula(32, 32, 1, 7), make([]byte, 32*32)
	var marks []Mark
	for _, p := range [][]byte{other, picture, blank, duller, picture, noisy, blank, formula(32, 32, 1, 3)} {
		marks = append(marks, h.Mark(p))
	}
	marks = append(marks, Mark{Hash: marks[0].Hash, Small: marks[1].Small}, Mark{Hash: marks[0].Hash ^ 1<<63})
	groups, err := Groups(context.Background(), marks, Options{Bits: 10, Correlation: 0.9}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, g := range groups {
		for _, m := range g {
			text += fmt.Sprintf("%d~%d ", m.Index, m.Near)
		}
		text += "| "
	}
	if text != "1~4 3~1 4~1 5~1 | 2~6 6~2 | " {
		t.Errorf("groups: %s", text)
	}
	if m := groups[0][1]; m.Correlation < 0.99 || m.Correlation >= 1 || m.Bits > 10 {
		t.Errorf("the duller picture: %+v", m)
	}
	if m := groups[0][2]; m.Correlation != 1 || m.Bits != 0 {
		t.Errorf("the copy: %+v", m)
	}
}

// BenchmarkGroups looks for what is alike among as many pictures as CIFAR-10 has.
func BenchmarkGroups(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	marks := make([]Mark, 50000)
	for i := range marks {
		marks[i].Hash = Hash(random.Uint64())
	}
	for b.Loop() {
		if _, err := Groups(context.Background(), marks, Options{Bits: 8, Correlation: 0.9}, func(int) {}); err != nil {
			b.Fatal(err)
		}
	}
}
