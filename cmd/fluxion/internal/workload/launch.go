package workload

import (
	"strings"

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
