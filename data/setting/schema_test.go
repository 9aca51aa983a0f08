package setting

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"testing"
)

// TestSchema: what a schema says of numbers and names is what is taken.
func TestSchema(t *testing.T) {
	var (
		n    int
		x    float64
		name = "red"
		two  pair
		none *float64
		on   bool
		list []string
		many int64
	)
	numbers := Setting{Value: Of(&n), Range: Within(1, 3, "")}
	for want, s := range map[string]Setting{
		`{"default":0,"description":"; 1 or more","minimum":1,"pattern":"^[0-9]+ ?steps$","type":["integer","string"]}`: {Value: Images(&many, &n), Range: AtLeast(1, "")},
		`{"default":0,"description":"; 1 to 3","maximum":3,"minimum":1,"type":"integer"}`:                               numbers,
		`{"default":0,"description":"; 2 or more","minimum":2,"type":"integer"}`:                                        {Value: Of(&n), Range: AtLeast(2, "")},
		`{"default":0,"description":"; a positive number","exclusiveMinimum":0,"type":"number"}`:                        {Value: Of(&x), Range: Positive},
		`{"default":0,"description":"; a share","exclusiveMaximum":1,"minimum":0,"type":"number"}`:                      {Value: Of(&x), Range: BelowOne("a share")},
		`{"default":"red","description":"","enum":["red","blue"],"type":"string"}`:                                      {Value: Of(&name), Range: OneOf("colour", []string{"red", "blue"})},
		`{"default":"red","description":"","examples":["red","b+"],"pattern":"^(red|b\\+)(:.*)?$","type":"string"}`:     {Value: Of(&name), Range: OneOf("colour", []string{"red", "b+"}).WithParameters()},
		`{"default":"red","description":"","examples":["green"],"type":"string"}`:                                       {Value: Of(&name), Offers: []string{"green"}},
		`{"default":["",""],"description":"","type":["string","number","array"]}`:                                       {Value: Text(&two)},
		`{"description":"","type":"number"}`:                                                                            {Value: Optional(&none)},
		`{"default":false,"description":"on or off","type":"boolean"}`:                                                  {Value: Of(&on), Help: "on or off"},
		`{"description":"","items":{"type":"string"},"type":["array","string"]}`:                                        {Value: Names(&list)},
	} {
		text, err := json.Marshal(s.Schema())
		if err != nil || string(text) != want {
			t.Errorf("%s, %v, want\n%s", text, err, want)
		}
	}
	for _, r := range []Range{Within(1, 3, ""), AtLeast(0, ""), Positive, NotNegative(""), Share(""), BelowOne("")} {
		for _, v := range []float64{-1, math.Nextafter(0, -1), 0, math.Nextafter(0, 1), 1, 2, 3, 4} {
			schema := map[string]any{}
			r.span.limit(schema)
			in := true
			for key, outside := range map[string]func(a float64) bool{
				"minimum": func(a float64) bool { return v < a }, "exclusiveMinimum": func(a float64) bool { return v <= a },
				"maximum": func(a float64) bool { return v > a }, "exclusiveMaximum": func(a float64) bool { return v >= a },
			} {
				if end, ok := schema[key].(float64); ok && outside(end) {
					in = false
				}
			}
			whole := v == math.Trunc(v)
			if holds := r.Holds(v) || whole && r.Holds(int(v)); holds != in && whole {
				t.Errorf("%s: %g is in %v, and in the schema %v", r.Text, v, holds, in)
			}
		}
	}
	s := Setting{Value: Of(&name), Range: OneOf("colour", []string{"red", "blue"}).WithParameters()}
	pattern := regexp.MustCompile(s.Schema()["pattern"].(string))
	for _, value := range []string{"red", "blue:a=1", "rad", "redder", ""} {
		if pattern.MatchString(value) != (s.Check(value) == nil) {
			t.Errorf("%q is in the schema %v, and %v", value, pattern.MatchString(value), s.Check(value))
		}
	}
	if got := (Setting{Value: Of(&name), Range: OneOf("x", []string{"", "a"})}).Offered(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("offered are %q", got)
	}
	if got := (List{numbers}).Schema(); got["additionalProperties"] != false || got["properties"].(map[string]any)[""] == nil {
		t.Errorf("%v", got)
	}
}
