package scheduler

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"testing"
)

// gridOf returns the times of a config's grid as diffusers has them, without those
// that a method asks for between two entries.
func gridOf(c Config, steps int) ([]float32, error) {
	p := &planner{Options: Options{Steps: steps, Compat: Diffusers}}
	err := c.Class.plan(p)
	if len(p.points) == 0 {
		return nil, err
	}
	var times []float32
	for _, q := range p.points[:min(steps, len(p.points)-1)] { // the last one is where the run ends
		times = append(times, float32(q.NetworkTime))
	}
	return times, nil
}

// Every class has the time steps of diffusers at every spacing and number of steps, at
// halves as well, and refuses those of which diffusers makes none or leaves the schedule.
func TestTimesteps(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	data, err := os.ReadFile("testdata/timesteps.json") // by scripts/timesteps.py
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Configs []json.RawMessage
		CRC     string
	}
	if err := json.Unmarshal(data, &groups); err != nil {
		t.Fatal(err)
	}
	steps := []int{120, 150, 192, 200, 250, 333, 400, 500, 667, 750, 999, 1000}
	grids := 0
	for _, g := range groups {
		for _, text := range g.Configs {
			c, err := read(text)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(g.CRC) / 8 {
				n, want := i+1, g.CRC[i*8:i*8+8]
				if n > 100 {
					n = steps[i-100]
				}
				times, err := gridOf(c, n)
				if err != nil {
					if want != "failed  " && want != "outside " {
						t.Errorf("%s with %d steps: %v; diffusers has times", text, n, err)
					}
					continue
				}
				var b bytes.Buffer
				binary.Write(&b, binary.LittleEndian, times)
				if got := fmt.Sprintf("%08x", crc32.ChecksumIEEE(b.Bytes())); got != want {
					t.Errorf("%s with %d steps: other times than diffusers (%s): %v", text, n, want, times)
				}
				grids++
			}
		}
	}
	if grids < 20_000 {
		t.Errorf("only %d grids were compared", grids)
	}
}

// The halves that were one off, in full: DPM-Solver++ on linspace, and trailing.
func TestTimestepsAtHalves(t *testing.T) {
	for _, c := range []struct {
		config string
		steps  int
		want   map[int]float32
	}{
		{`{"_class_name": "DPMSolverMultistepScheduler"}`, 30, map[int]float32{0: 999, 1: 966, 14: 533, 15: 499, 16: 466, 29: 33}},
		{`{"_class_name": "DDIMScheduler", "timestep_spacing": "trailing"}`, 48, map[int]float32{0: 999, 3: 936, 15: 686, 27: 436, 39: 186, 47: 20}},
	} {
		config, err := read([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		got, err := gridOf(config, c.steps)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if got[i] != want {
				t.Errorf("%s with %d steps: time %d is %v, want %v", c.config, c.steps, i, got[i], want)
			}
		}
	}
}
