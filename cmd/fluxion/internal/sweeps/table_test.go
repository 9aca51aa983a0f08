package sweeps

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTable: what is put into a folder is there for who comes next, in the order that is
// asked for, with a row and a point for each cell and none for one that could not be.
func TestTable(t *testing.T) {
	folder := Folder{Path: filepath.Join(t.TempDir(), "sweep")}
	settings := map[string]string{"seed": "1", Model + "ema": "aa"}
	table, leave, err := folder.Open(settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := folder.Open(settings); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("beside another: %v", err)
	}
	way := func(sampler string, steps int, guidance float64) Way { return Way{sampler, steps, guidance, "ema"} }
	table.Name("fd", "kid")
	table.Put(Cell{Way: way("euler", 2, 1), NFE: 2, Metrics: map[string]float64{"fd": 4, "kid": -1}, Errors: map[string]float64{"kid": 0.5}},
		Cell{Way: way("heun", 2, 1), Problem: "no, \"never\""}, Cell{Way: way("euler", 1, 1), NFE: 1, Metrics: map[string]float64{"fd": 9}})
	table.Order([]Way{way("heun", 2, 1), way("euler", 1, 1)})
	paths, err := folder.Write(table)
	if err != nil || len(paths) != 6 {
		t.Fatal(paths, err)
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	csv, err := os.ReadFile(paths[1])
	want := `sampler,steps,guidance,weights,nfe,images,fd,fd_error,kid,kid_error,seconds,problem
heun,2,1,ema,,0,,,,,,"no, ""never"""
euler,1,1,ema,1,0,9,,,,,
euler,2,1,ema,2,0,4,,-1,0.5,,
`
	if err != nil || string(csv) != want {
		t.Errorf("%v\n%s", err, csv)
	}
	if f := table.figure("fd"); len(f.Frames[0].Series) != 1 || f.Frames[0].Series[0].Name != "euler" || f.Frames[0].Series[0].X[1] != 2 || f.Frames[0].Series[0].Y[1] != 4 {
		t.Errorf("the figure: %+v", f)
	}
	one := Table{Cells: []Cell{{Way: way("euler", 2, 1), NFE: 2, Metrics: map[string]float64{"fd": 4}}, {Way: way("euler", 2, 0), NFE: 2, Metrics: map[string]float64{"fd": 5}}}}
	if f := one.figure("fd"); f.X != "guidance" || f.Frames[0].Series[0].X[0] != 0 || f.Frames[0].Series[0].Y[0] != 5 {
		t.Errorf("the figure over guidance: %+v", f)
	}

	width := func(weights string, fd float64) Cell {
		return Cell{Way: Way{"euler", 2, 1, weights}, NFE: 2, Metrics: map[string]float64{"fd": fd}}
	}
	widths := Table{Cells: []Cell{width("ema:power:0.1", 3), width("ema", 7), width("ema:power:0.05", 2), width("ema:power:0.1@8", 9)}}
	f := widths.figure("fd")
	got := ""
	for _, s := range f.Frames[0].Series {
		got += fmt.Sprint(s.Name, s.X, s.Y, "; ")
	}
	if !strings.HasPrefix(f.X, "σ_rel") || got != "euler[0.05 0.1] [2 3]; euler, ema[0.05 0.1] [7 7]; euler, after 8 images[0.1] [9]; " {
		t.Errorf("the figure over widths of averages: %s: %s", f.X, got)
	}

	// Weights that are new make no difference; those that were must be the same.
	again, leave, err := folder.Open(map[string]string{"seed": "1", Model + "raw": "bb"})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := again.Find(way("euler", 2, 1)); !ok || c.Errors["kid"] != 0.5 || again.Settings[Model+"ema"] != "aa" || again.Settings[Model+"raw"] != "bb" {
		t.Errorf("what was read: %+v", again)
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		settings map[string]string
		want     string
	}{
		{map[string]string{"seed": "1", Model + "ema": "cc"}, "model ema was aa, now cc"},
		{map[string]string{"seed": "2"}, "seed was 1, now 2"},
		{map[string]string{}, "seed was 1, now not given"},
		{map[string]string{"seed": "1", "size": "8"}, "size was not given, now 8"},
	} {
		_, _, err := folder.Open(c.settings)
		if refused := (*Error)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.settings, err, c.want)
		}
	}
}

// TestNothingLeft: a folder that was made for nothing goes away again.
func TestNothingLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sweep")
	_, leave, err := Folder{Path: path}.Open(map[string]string{})
	if err == nil {
		err = leave()
	}
	if _, there := os.Stat(path); err != nil || there == nil {
		t.Errorf("%v, %v", err, there)
	}
}

// TestLacks: what was not sampled is tried again, what was is not.
func TestLacks(t *testing.T) {
	w := func(steps int) Way { return Way{Sampler: "euler", Steps: steps, Guidance: 1, Weights: "ema"} }
	table := Table{Cells: []Cell{{Way: w(1)}, {Way: w(2), Problem: "no such weights"}, {Way: w(3), Problem: "not finite", Tried: true}}}
	for steps, want := range map[int]bool{1: false, 2: true, 3: false, 4: true} {
		if table.Lacks(w(steps)) != want {
			t.Errorf("%d steps: %v, want %v", steps, !want, want)
		}
	}
	list := differences(map[string]string{"model ema": "a", "guide ema": "none"}, map[string]string{"model ema": "a", "guide raw": "b"})
	if len(list) > 0 {
		t.Errorf("guides of other weights differ: %v", list)
	}
	if list := differences(map[string]string{"guide ema": "none"}, map[string]string{"guide ema": "b"}); len(list) != 1 {
		t.Errorf("another guide: %v", list)
	}
}
