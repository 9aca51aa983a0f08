package cpu

import "golang.org/x/sys/cpu"

//go:generate go run ./asm .

// native returns the vector instruction sets that this processor and system have.
func native() []*Kernels {
	var list []*Kernels
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasFMA {
		// Processors with tiles for other numbers only are not ruled out by the system.
		if x.HasAVX512BF16 && x.HasAMXTile == x.HasAMXBF16 && tilesGranted() {
			list = append(list, amx())
		}
		if x.HasAVX512BF16 {
			list = append(list, avx512BFloat16())
		}
		list = append(list, avx512())
	}
	if x.HasAVX2 && x.HasFMA {
		list = append(list, avx2())
	}
	return list
}

// Features lists what of the processor matters here, by its usual names, and
// amx_granted if the system lets this process use tiles.
func Features() []string {
	var list []string
	x := cpu.X86
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx2", x.HasAVX2}, {"fma", x.HasFMA}, {"avx512f", x.HasAVX512F}, {"avx512bw", x.HasAVX512BW}, {"avx512dq", x.HasAVX512DQ}, {"avx512vl", x.HasAVX512VL},
		{"avx512_bf16", x.HasAVX512BF16}, {"amx_tile", x.HasAMXTile}, {"amx_bf16", x.HasAMXBF16}, {"amx_granted", tilesGranted()},
	} {
		if f.has {
			list = append(list, f.name)
		}
	}
	return list
}

func avx512() *Kernels {
	tiles := [4]func(*Tile){tileAVX512_16, tileAVX512_32, tileAVX512_48, tileAVX512_64}
	turned := [4]func(*TileT){tileTAVX512_16, tileTAVX512_32, tileTAVX512_48, tileTAVX512_64}
	k := &Kernels{
		Name: "avx512", TileCols: 64, Lanes: 16, peak: peakAVX512,
		Tile:  func(t *Tile) { tiles[t.Width/16-1](t) },
		TileT: func(t *TileT) { turned[t.Width/16-1](t) },
		Gram:  gramAVX2,
	}
	vectorsAVX512(k)
	k.Random = randomAVX512
	castsAVX512(k)
	return k
}

func avx2() *Kernels {
	tiles := [2]func(*Tile){tileAVX2_8, tileAVX2_16}
	turned := [2]func(*TileT){tileTAVX2_8, tileTAVX2_16}
	k := &Kernels{
		Name: "avx2", TileCols: 16, Lanes: 8, peak: peakAVX2,
		Tile:  func(t *Tile) { tiles[t.Width/8-1](t) },
		TileT: func(t *TileT) { turned[t.Width/8-1](t) },
		Gram:  gramAVX2,
	}
	vectorsAVX2(k)
	k.Random = randomAVX2
	portableCasts(k)
	return k
}
