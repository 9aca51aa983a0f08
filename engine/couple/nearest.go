package couple

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

// most is the largest number of nearest.
const most = 64

// nearest gives each image the nearest of some noises: Y. Li et al., "Immiscible
// Diffusion" (2024), in its later form, without an assignment.
type nearest struct {
	of    int
	noise [][]float32 // room of each worker
}

func newNearest(parameter string) (Coupling, error) {
	n, err := strconv.Atoi(parameter)
	if parameter == "" {
		n, err = 4, nil
	}
	if err != nil || n < 2 || n > most {
		return nil, fmt.Errorf("coupling nearest:%s: want a number from 2 to %d, as in nearest:4", parameter, most)
	}
	return &nearest{of: n, noise: make([][]float32, runtime.GOMAXPROCS(0))}, nil
}

func (n *nearest) String() string { return fmt.Sprintf("nearest:%d", n.of) }

// Pair gives image i the best of the noises at its address and beyond the stream's end.
func (n *nearest) Pair(s Step) error {
	var next atomic.Int64
	var group sync.WaitGroup
	for worker := range n.noise {
		if size := len(s.Images[0]); len(n.noise[worker]) != size {
			n.noise[worker] = make([]float32, size)
		}
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(s.Images)); i = next.Add(1) - 1 {
				s.Noise[i] = n.best(s, int(i), n.noise[worker])
			}
		})
	}
	group.Wait()
	return nil
}

// best is the address of the noise of one image.
func (n *nearest) best(s Step, i int, noise []float32) (at int64) {
	least := 0.0
	for k := range int64(n.of) {
		address := s.Noise[i] + k<<56
		s.Draw(address, noise)
		if d := distance(noise, s.Images[i]); k == 0 || d < least {
			least, at = d, address
		}
	}
	return at
}

// distance is |a − b|².
func distance(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += float64(d * d)
	}
	return sum
}
