package train

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/process"
	"fluxion/nets"
)

// initSetting declares the model whose weights a run begins with.
func initSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "init", Value: setting.Of(p), Breaks: setting.Always, Since: "2026-11-29",
		Help: "folder of a model whose averaged weights the run begins with, as in fine-tuning; its network is the preset if none is given",
	}
}

// CheckInit says early that the folder of Settings.Init cannot be what a run begins with.
func CheckInit(s Settings, ignore ...string) error {
	if s.Init == "" {
		return nil
	}
	return CheckFolder("init", s.Init, ignore...)
}

// CheckFolder says that the folder which a setting names has no network to be used.
func CheckFolder(key, path string, ignore ...string) error {
	_, err := folderNetwork(key, path, ignore)
	return err
}

// beginning is the weights that a run begins with in the place of random ones.
type beginning struct {
	from  *model.Model
	fits  []fitting
	fresh []string // parameters of the run that the model does not have, as they are told
	told  string   // what was done to its embedding of time; empty: nothing
}

// mostFresh is how many tensors a note names.
const mostFresh = 5

// fitting is a parameter that the run and the model have.
type fitting struct{ run, model nets.Param }

// readBeginning reads the model that a run's settings name, unless that is its teacher,
// which has been read; nil if they name none.
func readBeginning(s Settings, n nets.Network, trains process.Process, params []nets.Param, t *objective.Teacher) (*beginning, error) {
	if s.Init == "" {
		return nil, nil
	}
	var m *model.Model
	if t != nil && s.Init == s.Teacher && t.Frozen.Weights != nil {
		m = &model.Model{Network: t.Frozen.Network, Weights: t.Frozen.Weights, Process: t.Process, Path: t.Frozen.Dir}
	} else {
		var err error
		if m, err = model.Read(s.Init, model.EMA); err != nil {
			return nil, &PresetError{"init", s.Init, err}
		}
	}
	b := &beginning{from: m}
	has := nets.Params(m.Network)
	for _, p := range params {
		i := slices.IndexFunc(has, func(q nets.Param) bool { return q.Name == p.Name })
		switch {
		case i < 0:
			b.fresh = append(b.fresh, p.Name)
		case !has[i].Shape.Eq(p.Shape):
			b.fresh = append(b.fresh, fmt.Sprintf("%s (%s, there %s)", p.Name, shapeText(p.Shape), shapeText(has[i].Shape)))
		default:
			b.fits = append(b.fits, fitting{p, has[i]})
		}
	}
	taken, all := 0, 0
	for _, f := range b.fits {
		taken += f.run.Size()
	}
	for _, p := range params {
		all += p.Size()
	}
	if 2*taken < all {
		return nil, &SettingError{"init", fmt.Sprintf("%s has %d of the network's %d tensors, which is less than half of its weights; want a model of this network, or no preset, which takes the model's own", s.Init, len(b.fits), len(params))}
	}
	return b, b.retold(n, trains)
}

func shapeText(shape []int) string {
	var parts []string
	for _, n := range shape {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, "×")
}

// notes say what of the model is taken, and what is not.
func (b *beginning) notes(trains process.Process) []string {
	if b == nil {
		return nil
	}
	text := fmt.Sprintf("the weights are those of %s", b.from.Path)
	if n := len(b.fresh); n > 0 {
		text += fmt.Sprintf(" but for %d of %d tensors, which begin with random ones: %s", n, n+len(b.fits), strings.Join(b.fresh[:min(n, mostFresh)], ", "))
		if n > mostFresh {
			text += ", …"
		}
	}
	notes := []string{text}
	if b.told != "" {
		notes = append(notes, b.told)
	}
	if was := b.from.Process.String(); was != trains.String() {
		notes = append(notes, fmt.Sprintf("that model was trained for %s and this run is for %v: what it knows is another question's answer; --schedule and --output-kind choose", was, trains))
	}
	return notes
}

// write brings the weights to where those of the run lie, averages among them.
func (b *beginning) write(t *Trainer) error {
	for _, f := range b.fits {
		values := b.from.Weights[f.model.Offset:][:f.model.Size()]
		for _, buffer := range t.Buffers.weights() {
			if err := t.Memory.Write(buffer, f.run.Offset, values); err != nil {
				return err
			}
		}
	}
	return t.Refresh()
}
