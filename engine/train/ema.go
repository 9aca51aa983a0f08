package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/engine/average"
	"fluxion/engine/plan"
	"fluxion/kernels/ema"
)

// MaxEMAs is how many moving averages (EMAs) of the weights a run can keep.
const MaxEMAs = 4

// Average is how a run averages its weights: exponentially, or by a power of time.
type Average struct {
	HalfLife int64   // in images
	Sigma    float64 // σ_rel of a power of time, see package average; 0: exponentially
}

// powerName begins what a user writes for an average by a power of time: power:0.05.
const powerName = "power"

// String is the average as a user writes it.
func (a Average) String() string {
	if a.Sigma != 0 {
		return powerName + ":" + average.FormatSigma(a.Sigma)
	}
	return strconv.FormatInt(a.HalfLife, 10)
}

// kept is the share of the old average that a step keeps which takes the images seen from
// before to after.
func (a Average) kept(before, after int64, warmup float64) float64 {
	if a.Sigma != 0 {
		return average.Kept(a.Sigma, before, after)
	}
	// EDM's ramp: in the beginning averages look back over a share of what was seen.
	if half := min(float64(a.HalfLife), warmup*float64(after)); half > 0 {
		return math.Exp2(-float64(after-before) / half)
	}
	return 0
}

// Averages are those of a run's weights. The first may have the half-life 0, as which it
// is the weights; the others are zero where there is none.
type Averages [MaxEMAs]Average

// usual are the powers that EDM2 keeps.
var usual = []Average{{Sigma: 0.05}, {Sigma: 0.10}}

// list is all there are.
func (all Averages) list() []Average {
	n := 1
	for n < len(all) && all[n] != (Average{}) {
		n++
	}
	return slices.Clone(all[:n])
}

// others are the averages behind the first.
func (all Averages) others() []Average { return all.list()[1:] }

// names are those of the averages behind the first.
func (all Averages) names() (list []string) {
	for _, a := range all.others() {
		list = append(list, a.String())
	}
	return list
}

// powers are the averages by a power of time.
func (all Averages) powers() []Average {
	return slices.DeleteFunc(all.list(), func(a Average) bool { return a.Sigma == 0 })
}

// String is them as a user writes them: 2000,20000 or 2000,power:0.05.
func (all Averages) String() string {
	return strings.Join(append([]string{all[0].String()}, all.names()...), ",")
}

// set takes a list of them.
func (all *Averages) set(list []Average) error {
	if len(list) == 0 || len(list) > MaxEMAs {
		return fmt.Errorf("%d averages, want 1 to %d", len(list), MaxEMAs)
	}
	for i, a := range list {
		if i > 0 && a == (Average{}) || slices.Contains(list[:i], a) {
			return fmt.Errorf("%v is no average of its own: want different ones, and none but the first 0", a)
		}
	}
	*all = Averages{}
	copy(all[:], list)
	return nil
}

// UnmarshalText reads what String writes. The word power alone is those that EDM2 keeps.
func (all *Averages) UnmarshalText(text []byte) error {
	var list []Average
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == powerName {
			list = append(list, usual...)
			continue
		}
		if sigma, power := strings.CutPrefix(part, powerName+":"); power {
			sigma, err := average.ParseSigma(sigma)
			if err != nil {
				return err
			}
			list = append(list, Average{Sigma: sigma})
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return fmt.Errorf("%q, want whole numbers of images, or powers, as in 2000 or 2000,power:0.05,power:0.10", text)
		}
		list = append(list, Average{HalfLife: n})
	}
	return all.set(list)
}

// MarshalJSON writes an average, or a list if there are several.
func (all Averages) MarshalJSON() ([]byte, error) {
	var list []any
	for _, a := range all.list() {
		if a.Sigma != 0 {
			list = append(list, a.String())
		} else {
			list = append(list, a.HalfLife)
		}
	}
	if len(list) == 1 {
		return json.Marshal(list[0])
	}
	return json.Marshal(list)
}

// UnmarshalJSON reads both.
func (all *Averages) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil {
		list = []json.RawMessage{text}
	}
	var parts []string
	for _, one := range list {
		var n int64
		var name string
		if err := json.Unmarshal(one, &n); err == nil {
			name = strconv.FormatInt(n, 10)
		} else if json.Unmarshal(one, &name) != nil || !strings.HasPrefix(name, powerName) {
			return errors.New("want a whole number of images, a power as in \"power:0.05\", or a list of them")
		}
		parts = append(parts, name)
	}
	return all.UnmarshalText([]byte(strings.Join(parts, ",")))
}

// goesOnAs says whether a run that keeps these averages can go on with those of next: it
// can forget one, but has not kept what it does not know. The first can have another
// half-life from here on, but a power of time is one from the start.
func (all Averages) goesOnAs(next Averages) bool {
	if next[0].Sigma != 0 && next[0] != all[0] {
		return false
	}
	for _, a := range next.others() {
		if !slices.Contains(all.others(), a) {
			return false
		}
	}
	return true
}

// inRange says whether half-lives are numbers of images; powers are checked when they are
// read.
func (all Averages) inRange() bool {
	return !slices.ContainsFunc(all[:], func(a Average) bool { return a.HalfLife < 0 || a.HalfLife > maxImages })
}

// averaging returns the stages that update the EMAs but the first, which the
// optimizer's own kernel updates.
func (s *Step) averaging() (stages []plan.Stage) {
	s.emas = make([]ema.Hyper, len(s.Buffers.MoreEMAs))
	for i, b := range s.Buffers.MoreEMAs {
		for _, p := range s.pieces() {
			stages = append(stages, plan.Stage{
				Kernel: ema.New(&s.emas[i]), In: []plan.Ref{s.place(s.Buffers.Parameters, p), {Node: s.norm}}, Out: s.place(b, p),
			})
		}
	}
	return stages
}
