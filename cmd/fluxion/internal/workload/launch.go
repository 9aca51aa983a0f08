package workload

import (
	"fmt"
	"strings"

	"fluxion/engine/plan"
	"fluxion/kernels"
)

// Kind is the name of a kernel without its numbers.
func Kind(k kernels.Kernel) string {
	var words []string
	for word := range strings.FieldsSeq(k.String()) {
		if strings.ContainsAny(word, "0123456789=,") {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// IdealBytes is the traffic of a launch that reads and writes everything once.
func IdealBytes(l plan.Launch) int64 {
	n := l.Cost.Bytes
	for _, t := range []*plan.Tensor{l.Add, l.PerImage} {
		if t != nil {
			n += int64(t.Values() * t.Type.Size())
		}
	}
	return n
}

// OperandText is types, shapes and gaps of operands, without their places.
func OperandText(l plan.Launch) string {
	text := func(t plan.Tensor) string {
		s := fmt.Sprintf("%v%v", t.Type, t.Shape)
		if t.Pitch != t.Cols() {
			s += fmt.Sprintf("/%d", t.Pitch)
		}
		return s
	}
	var parts []string
	for _, t := range l.In {
		parts = append(parts, text(t))
	}
	s := strings.Join(parts, " ") + " → " + text(l.Out)
	if l.PerImage != nil {
		s += " + per image"
	}
	if l.Add != nil {
		s += " + addend"
	}
	return s
}
