package train

import (
	"fmt"
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
	taken []nets.Adopted
	fresh []string // parameters of the run that begin with nothing of the model, as they are told
	told  []string // what was done to what is taken
}

// mostFresh is how many tensors a note names.
const mostFresh = 5

// readBeginning reads the model that a run's settings name, unless that is its teacher,
// which has been read; nil if they name none. Classes are those of the run's data.
func readBeginning(s Settings, n nets.Network, trains process.Process, params []nets.Param, classes []string, t *objective.Teacher) (*beginning, error) {
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
	rows, told := adoptRows(m, n.Spec(), classes)
	b.taken, b.fresh, b.told = nets.Adopt(n, m.Network, params, rows)
	b.told = append(told, b.told...)
	taken, all := 0, 0
	for _, a := range b.taken {
		taken += a.Size()
	}
	for _, p := range params {
		all += p.Size()
	}
	if 2*taken < all {
		return nil, &SettingError{"init", fmt.Sprintf("%s has %d of the network's %d tensors, which is less than half of its weights; want a model of this network, or no preset, which takes the model's own", s.Init, len(b.taken), len(params))}
	}
	b.fold(n.Spec())
	return b, b.retold(n, trains)
}

// notes say what of the model is taken, and what is not.
func (b *beginning) notes(trains process.Process) []string {
	if b == nil {
		return nil
	}
	text := fmt.Sprintf("the weights are those of %s", b.from.Path)
	if n := len(b.fresh); n > 0 {
		text += fmt.Sprintf(" but for %d of %d tensors, which begin with random ones: %s", n, n+len(b.taken), strings.Join(b.fresh[:min(n, mostFresh)], ", "))
		if n > mostFresh {
			text += ", …"
		}
	}
	notes := append([]string{text}, b.told...)
	if was := b.from.Process.String(); was != trains.String() {
		notes = append(notes, fmt.Sprintf("that model was trained for %s and this run is for %v: what it knows is another question's answer; --schedule and --output-kind choose", was, trains))
	}
	return notes
}

// write brings the weights to where those of the run lie.
func (b *beginning) write(t *Trainer) error {
	for _, a := range b.taken {
		values := a.Values(b.from.Weights)
		for _, buffer := range t.begin() {
			if err := t.Memory.Write(buffer, a.Offset, values); err != nil {
				return err
			}
		}
	}
	return t.Refresh()
}
