package train

import (
	"fmt"

	"fluxion/engine/collective"
	"fluxion/engine/device"
)

// Shareable says why so many processes cannot share the steps of a run.
func Shareable(world int, s Settings) error {
	switch {
	case world <= 1:
		return nil
	case world > s.Accumulate:
		return &SettingError{"accumulate", fmt.Sprintf("%d, and %d processes share the micro-batches of a step; want as many micro-batches or more, or fewer processes", s.Accumulate, world)}
	case s.Accumulation != inTree:
		return &SettingError{"accumulation", fmt.Sprintf("%s: the run began before there was %s, in which alone several processes have the sums of one; want one process", s.Accumulation, inTree)}
	}
	return nil
}

// fact is something in which all processes must be alike.
type fact struct{ Name, Value string }

// arithmetic is the fact that users can change by a variable.
const arithmetic = "arithmetic"

// facts of a run, which decide its bits.
func (r *run) facts(d device.Device) []fact {
	height, width, channels := r.data.Shape()
	facts := []fact{
		{"data", fmt.Sprintf("%s, %d images of %d×%d×%d", r.data.Name(), r.data.Len(), width, height, channels)},
		{"description of the data", string(r.dataset.json())},
		{"precision", r.settings.Precision},
		{arithmetic, device.Arithmetic(d)},
		{"network", string(r.network.JSON())},
	}
	if r.teacher != nil {
		facts = append(facts, fact{"teacher", r.teacher.Digest})
	}
	return facts
}

// MixtureError is a group whose processes would not have the same bits.
type MixtureError struct {
	Rank        int // the odd one
	What        string
	Has, Others string
	Hint        string
}

func (e *MixtureError) Error() string {
	return fmt.Sprintf("process %d of the group has another %s than the others: %s, and they %s%s", e.Rank, e.What, e.Has, e.Others, e.Hint)
}

// alikeIn compares facts, which all ranks give in the same order: the odd one is in the
// minority, or, of two, not the first.
func alikeIn(g collective.Group, own []fact) error {
	all, err := collective.GatherValues(g, own)
	if err != nil {
		return err
	}
	for i, f := range all[0] {
		of := func(rank int) string {
			if i < len(all[rank]) {
				return all[rank][i].Value
			}
			return "nothing"
		}
		count, usual := map[string]int{}, f.Value
		for rank := range all {
			count[of(rank)]++
		}
		for rank := range all {
			if count[of(rank)] > count[usual] {
				usual = of(rank)
			}
		}
		for rank := range all {
			if of(rank) == usual {
				continue
			}
			e := &MixtureError{Rank: rank, What: f.Name, Has: of(rank), Others: usual}
			if f.Name == arithmetic {
				e.Hint = "; FLUXION_CPU of what all have makes them alike"
			}
			return e
		}
	}
	return nil
}

// Alike refuses a group whose processes differ in what is told by name and value.
func Alike(g collective.Group, facts ...[2]string) error {
	var own []fact
	for _, f := range facts {
		own = append(own, fact{f[0], f[1]})
	}
	return alikeIn(g, own)
}

// apartIn refuses a group of which two processes have the same device: each names its own,
// or none where others may have it, too.
func apartIn(g collective.Group, own string) error {
	all, err := collective.GatherValues(g, own)
	if err != nil {
		return err
	}
	first := map[string]int{}
	for rank, name := range all {
		if other, twice := first[name]; twice && name != "" {
			return &SettingError{"device", fmt.Sprintf("processes %d and %d of the group both have %s; want a GPU for each, as with --device cuda, or as many processes as there are GPUs; of slices (MIG) a process sees one, which CUDA_VISIBLE_DEVICES=MIG-… says", other, rank, name)}
		}
		first[name] = rank
	}
	return nil
}
