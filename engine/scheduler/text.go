package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// longText is the most letters of a value in String.
const longText = 60

// String is the class and every key that it has with its value, in words without
// spaces within; a long value, as a list of βs, is told by its hash.
func (c Config) String() string {
	words := []string{c.Name}
	fields := fieldsOf(c.Class)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := plain(fields[key])
		text, err := json.Marshal(value)
		if err != nil { // an infinity
			text = fmt.Append(nil, value)
		}
		if len(text) > longText || strings.ContainsAny(string(text), " \t\n") {
			sum := sha256.Sum256(text)
			text = []byte("sha256:" + hex.EncodeToString(sum[:8]))
		}
		words = append(words, key+"="+string(text))
	}
	return strings.Join(words, " ")
}
