package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fluxion/engine/plan"
	"fluxion/kernels/ema"
)

// MaxEMAs is how many exponential moving averages (EMAs) of the weights a run can keep.
const MaxEMAs = 4

// HalfLives are those of a run's averages of the weights, in images. The first may be
// 0, as which the average is the weights; the others are 0 where there is none.
type HalfLives [MaxEMAs]int64

// others are the half-lives of the averages behind the first.
func (h HalfLives) others() []int64 {
	n := 1
	for n < len(h) && h[n] != 0 {
		n++
	}
	return slices.Clone(h[1:n])
}

// String is them as a user writes them: 2000,20000.
func (h HalfLives) String() string {
	text := strconv.FormatInt(h[0], 10)
	for _, n := range h.others() {
		text += "," + strconv.FormatInt(n, 10)
	}
	return text
}

// set takes a list of them.
func (h *HalfLives) set(list []int64) error {
	if len(list) == 0 || len(list) > MaxEMAs {
		return fmt.Errorf("%d half-lives, want 1 to %d", len(list), MaxEMAs)
	}
	for i, n := range list {
		if i > 0 && n == 0 || slices.Contains(list[:i], n) {
			return fmt.Errorf("half-life %d has no average of its own: want different ones, and none but the first 0", n)
		}
	}
	*h = HalfLives{}
	copy(h[:], list)
	return nil
}

// UnmarshalText reads what String writes.
func (h *HalfLives) UnmarshalText(text []byte) error {
	var list []int64
	for part := range strings.SplitSeq(string(text), ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil {
			return fmt.Errorf("%q, want whole numbers of images, as in 2000 or 2000,20000", text)
		}
		list = append(list, n)
	}
	return h.set(list)
}

// MarshalJSON writes a number, or a list if there are several.
func (h HalfLives) MarshalJSON() ([]byte, error) {
	if others := h.others(); len(others) > 0 {
		return json.Marshal(append(h[:1:1], others...))
	}
	return json.Marshal(h[0])
}

// UnmarshalJSON reads both.
func (h *HalfLives) UnmarshalJSON(text []byte) error {
	list := make([]int64, 1)
	if json.Unmarshal(text, &list[0]) != nil && json.Unmarshal(text, &list) != nil {
		return errors.New("want a whole number of images, or a list of them")
	}
	return h.set(list)
}

// goesOnAs says whether a run that keeps these averages can go on with those of next:
// it can forget one, but has not kept what it does not know.
func (h HalfLives) goesOnAs(next HalfLives) bool {
	for _, n := range next.others() {
		if !slices.Contains(h.others(), n) {
			return false
		}
	}
	return true
}

// averaging returns the stages that update the EMAs but the first, which the
// optimizer's own kernel updates.
func (s *Step) averaging() (stages []plan.Stage) {
	s.emas = make([]ema.Hyper, len(s.Buffers.MoreEMAs))
	for i, b := range s.Buffers.MoreEMAs {
		stages = append(stages, plan.Stage{
			Kernel: ema.New(&s.emas[i]), In: []plan.Ref{{Buffer: s.Buffers.Parameters}, {Node: s.norm}}, Out: plan.Ref{Buffer: b},
		})
	}
	return stages
}
