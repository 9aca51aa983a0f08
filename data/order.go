package data

// Order returns which of n images comes at place i of a pass: a permutation for
// every seed and pass, computed place by place. It is a Feistel network on the
// next power of four, walked until it lands below n.
func Order(seed uint64, pass int64, n, i int) int {
	half := 1
	for 1<<(2*half) < n {
		half++
	}
	mask := uint64(1)<<half - 1
	key := mix(seed ^ mix(uint64(pass)+0x9e3779b97f4a7c15))
	x := uint64(i)
	for {
		left, right := x>>half, x&mask
		for round := range uint64(6) {
			left, right = right, left^mix(right^mix(key+round))&mask
		}
		if x = left<<half | right; x < uint64(n) {
			return int(x)
		}
	}
}

// Spread is the i-th of k images that are taken of n: one of each of k equal parts, but
// not always the same of a part. So all classes are among them, be the images in the
// order of classes or the classes in turn.
func Spread(n, k, i int) int {
	part := func(i int) int { return int(int64(i) * int64(n) / int64(k)) }
	return part(i) + Order(0, int64(i), max(1, part(i+1)-part(i)), 0) // of fewer images than are wanted, some come again
}

// flipped says whether the image at a place of the stream is mirrored.
func flipped(seed uint64, position int64) bool {
	return mix(mix(seed+0x632be59bd9b4e019)^uint64(position))&1 == 1
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
