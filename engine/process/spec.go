package process

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/data/lookup"
)

// Parameters are the numbers behind a name on the command line, as in
// logit-normal:mean=0,std=1.
type Parameters map[string]float64

// String writes them as they are read, in alphabetical order.
func (p Parameters) String() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, fmt.Sprintf("%s=%v", key, p[key]))
	}
	return strings.Join(parts, ",")
}

// Sizes of parameters that are not 0. Beyond them squares and products, in float32 at last,
// are 0 or infinite; no method has a use for such.
const leastParameter, mostParameter = 1e-9, 1e9

// ParseParameters reads key=value,… over defaults; it takes no other keys than theirs.
func ParseParameters(kind, name, text string, defaults Parameters) (Parameters, error) {
	p := maps.Clone(defaults)
	if text == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		if len(defaults) == 0 {
			return nil, fmt.Errorf("%s %s takes no parameters, got %q", kind, name, part)
		}
		if _, err := lookup.Find("parameter of "+kind+" "+name, key, slices.Sorted(maps.Keys(defaults))); err != nil {
			return nil, err
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%s %s: %s = %q is no finite number; want as in %s:%s", kind, name, key, value, name, defaults)
		}
		if size := math.Abs(x); x != 0 && !(leastParameter <= size && size <= mostParameter) {
			return nil, fmt.Errorf("%s %s: %s = %s is out of range; want 0, or a size of %g to %g", kind, name, key, value, leastParameter, mostParameter)
		}
		p[key] = x
	}
	return p, nil
}

// positive refuses parameters that are not above 0.
func (p Parameters) positive(keys ...string) error {
	for _, key := range keys {
		if !(p[key] > 0) {
			return fmt.Errorf("%s = %g, want a positive number", key, p[key])
		}
	}
	return nil
}
