package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Evaluation is what metrics say of a run after so many images.
type Evaluation struct {
	Images, Steps int64
	Values        []Value
	N             [2]int64 // samples, and real images; 0: not known
	Of            string   // all else that the values depend on: only those of the same compare
	Best          string   // the value by which it is the best so far; "": it is not
	Time          time.Time
	Seconds       float64 // that it took
	Share         float64 // of the time of this process that evaluations took so far
}

// Value is one number of an evaluation.
type Value struct {
	Name  string
	Value float64
	Error float64 // how far it may be off by chance; 0: not known
	How   string  // what was taken, and what Error is; "" where the name says it
}

// Value returns the one of a name.
func (e Evaluation) Value(name string) (v float64, ok bool) {
	for _, v := range e.Values {
		if v.Name == name {
			return v.Value, true
		}
	}
	return 0, false
}

// String is the values on one line.
func (e Evaluation) String() string {
	var parts []string
	for _, v := range e.Values {
		text := fmt.Sprintf("%s %.5g", v.Name, v.Value)
		if v.Error != 0 {
			text += fmt.Sprintf(" ± %.2g", v.Error)
		}
		if v.Name == e.Best {
			text += " (the best so far)"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// Percent is a share in words.
func Percent(share float64) string {
	digits := 0
	if share < 0.0995 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %%", digits, 100*share)
}

// Fields are an evaluation as JSON has it.
func (e Evaluation) Fields() map[string]any {
	metrics, errors, how := map[string]float64{}, map[string]float64{}, map[string]string{}
	for _, v := range e.Values {
		metrics[v.Name] = v.Value
		if v.Error != 0 {
			errors[v.Name] = v.Error
		}
		if v.How != "" {
			how[v.Name] = v.How
		}
	}
	return map[string]any{
		"time": e.Time.Format(time.RFC3339), "images": e.Images, "steps": e.Steps, "metrics": metrics, "errors": errors, "how": how,
		"n": e.N, "of": e.Of, "best": e.Best, "seconds": e.Seconds, "share": e.Share,
	}
}

// Evaluations reads those among the lines that JSONL made, up to so many images, their
// values in the order of their names. What is no line of one is passed over.
func Evaluations(lines []byte, images int64) (list []Evaluation) {
	for line := range bytes.Lines(lines) {
		var f struct {
			Time          time.Time
			Images, Steps int64
			Metrics       map[string]float64
			Errors        map[string]float64
			How           map[string]string
			N             [2]int64
			Of, Best      string
			Seconds       float64
			Share         float64
		}
		if json.Unmarshal(line, &f) != nil || f.Metrics == nil || f.Images > images {
			continue
		}
		e := Evaluation{Images: f.Images, Steps: f.Steps, N: f.N, Of: f.Of, Best: f.Best, Time: f.Time, Seconds: f.Seconds, Share: f.Share}
		for _, name := range slices.Sorted(maps.Keys(f.Metrics)) {
			e.Values = append(e.Values, Value{name, f.Metrics[name], f.Errors[name], f.How[name]})
		}
		list = append(list, e)
	}
	return list
}
