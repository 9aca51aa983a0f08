package setting

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
)

// Schema is what a setting takes as JSON Schema has it (draft 2020-12), for editors.
func (s Setting) Schema() map[string]any {
	schema := map[string]any{"description": s.Usage()}
	switch kind := s.Value.Kind(); kind {
	case "bool":
		schema["type"] = "boolean"
	case "int", "int64", "uint64":
		schema["type"] = "integer"
		if kind == "uint64" {
			schema["minimum"] = 0
		}
	case "float64":
		schema["type"] = "number"
	case "stringSlice":
		schema["type"], schema["items"] = []string{"array", "string"}, map[string]any{"type": "string"}
	default:
		schema["type"] = "string"
		if _, plain := s.Value.Get().(string); !plain { // as a list of numbers, of which one may stand alone
			schema["type"] = []string{"string", "number", "array"}
		}
	}
	if _, steps := s.Value.(interface{ countsSteps() }); steps {
		schema["type"], schema["pattern"] = []string{schema["type"].(string), "string"}, "^[0-9]+ ?steps$"
	}
	if r := s.Range.span; r != nil {
		r.limit(schema)
	}
	if names := s.Range.Names; names != nil && s.Range.Spec {
		schema["pattern"] = "^(" + strings.Join(quoted(names), "|") + ")(:.*)?$"
	} else if names != nil {
		schema["enum"] = names
	}
	if offered := s.Offered(); len(offered) > 0 && schema["enum"] == nil {
		schema["examples"] = offered
	}
	if text, err := json.Marshal(s.Value.Get()); err == nil && string(text) != "null" {
		schema["default"] = json.RawMessage(text)
	}
	return schema
}

// limit adds the ends of a span. What float64 does not hold to the last digit is left to
// whoever reads the file.
func (s span) limit(schema map[string]any) {
	const exact = 1 << 53
	if math.Abs(s.least) <= exact {
		key := "minimum"
		if s.leastIsOutside {
			key = "exclusiveMinimum"
		}
		schema[key] = s.least
	}
	if math.Abs(s.most) <= exact {
		key := "maximum"
		if s.mostIsOutside {
			key = "exclusiveMaximum"
		}
		schema[key] = s.most
	}
}

func quoted(names []string) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = regexp.QuoteMeta(n)
	}
	return list
}

// Schema is that of an object with some of the settings of a list, and no others.
func (l List) Schema() map[string]any {
	properties := map[string]any{}
	for _, s := range l {
		properties[s.Key] = s.Schema()
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}
