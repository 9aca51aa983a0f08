package data

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// TestColumnNumbers: columns of tables that pyarrow wrote and of samples that webdataset wrote,
// as numbers: scripts/datasets.py says which.
func TestColumnNumbers(t *testing.T) {
	const ages = "[[0.5] [-3] [] [1000] [2.25]]"
	const poses = "[[0 1] [0.5 -1] [2 3] [1 1] [-0.25 8]]"
	tables, samples := []string{"numbers.parquet", "numbers2.parquet"}, []string{"numbers.tar"}
	for labels, c := range map[string]struct {
		sets        []string
		want, names string
	}{
		"numbers":              {tables, "[[0.1] [0.2] [0.3] [0.4] [0.5]]", "[label]"},
		"numbers:age":          {append(tables, samples...), ages, "[age]"},
		"numbers:smile":        {tables, "[[1] [0] [0] [1] [1]]", "[smile]"},
		"numbers:count":        {tables, "[[7] [-8] [9] [-10] [11]]", "[count]"},
		"numbers:large":        {tables, "[[0] [1] [2] [3] [4e+09]]", "[large]"},
		"numbers:pose":         {append(tables, samples...), poses, "[pose.0 pose.1]"},
		"numbers:fixed":        {tables, poses, "[fixed.0 fixed.1]"},
		"numbers:gaps":         {tables, "[[1 2] [] [] [] [4 5]]", "[gaps.0 gaps.1]"},
		"numbers:person":       {tables, "[[1.5 60] [2.5 61] [3.5 62] [4.5 63] [5.5 64]]", "[person.height person.weight]"},
		"numbers:smile,age":    {tables, "[[1 0.5] [0 -3] [] [1 1000] [1 2.25]]", "[smile age]"},
		"numbers:cls":          {samples, "[[0] [0.25] [0.5] [0.75] [1]]", "[cls]"},
		"numbers:height":       {samples, "[[1.5] [2.5] [3.5] [4.5] [5.5]]", "[height]"},
		"numbers:height.txt":   {samples, "[[1.5] [2.5] [3.5] [4.5] [5.5]]", "[height.txt]"},
		"numbers:pose2":        {samples, poses, "[pose2.0 pose2.1]"},
		"numbers:pose2,height": {samples, "[[0 1 1.5] [0.5 -1 2.5] [2 3 3.5] [1 1 4.5] [-0.25 8 5.5]]", "[pose2.0 pose2.1 height]"},
	} {
		for _, set := range c.sets {
			t.Run(labels+" of "+set, func(t *testing.T) {
				d := mustOpenWith(t, filepath.Join("testdata", "formats", set), Options{Labels: labels})
				if got, names := fmt.Sprint(numbersOf(d)), fmt.Sprint(NumbersOf(d).Names); got != c.want || names != c.names || d.Len() != 5 || d.Classes() != nil {
					t.Errorf("%s of %s, want %s of %s; %d images of classes %v", got, names, c.want, c.names, d.Len(), d.Classes())
				}
				e := NewExample(d)
				for i := range d.Len() {
					if err := d.Read(i, e); err != nil || e.Bytes[0] != byte(40*i) {
						t.Errorf("image %d begins with %d, %v", i, e.Bytes[0], err)
					}
				}
			})
		}
	}
	// A sample's own file of its class stands before what its .json says.
	d := mustOpenWith(t, filepath.Join("testdata", "formats", "numbers.tar"), Options{Labels: NumberLabels})
	if got := fmt.Sprint(numbersOf(d)); got != "[[0] [0.25] [0.5] [0.75] [1]]" {
		t.Errorf("labels are %s", got)
	}
}

// TestColumnNumbersRefused: what is no column of numbers is refused in one line, which lists those
// that are.
func TestColumnNumbersRefused(t *testing.T) {
	tables, samples := []string{"numbers.parquet", "numbers2.parquet"}, []string{"numbers.tar"}
	for labels, c := range map[string]struct {
		sets []string
		want string
	}{
		"numbers:weight":     {tables, "no numbers called weight; want numbers:COLUMN, or some with commas between, of age, count, "},
		"numbers:person.age": {tables, "no numbers called person.age"},
		"numbers:name":       {tables, "no numbers called name"},
		"numbers:day":        {tables, "no numbers called day"},
		"numbers:price":      {tables, "no numbers called price"},
		"numbers:uneven":     {tables, "as many of each"},
		"numbers:nested":     {tables, "nor lists of them"},
		"numbers:mass":       {samples, "of age, cls, height.txt, label, pose, pose2.npy"},
		"numbers:name,mass":  {samples, `has the label "a" of "name"; want a number`},
		"numbers:age,":       {append(tables, samples...), "want numbers"},
	} {
		for _, set := range c.sets {
			t.Run(labels+" of "+set, func(t *testing.T) {
				_, err := Open(filepath.Join("testdata", "formats", set), Options{Labels: labels})
				wellPut(t, err)
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want %q", err, c.want)
				}
			})
		}
	}
	dir := picturesOf(t, t.TempDir(), []string{"x.png"}, nil)
	if _, err := Open(dir, Options{Labels: "numbers:age"}); err == nil || !strings.Contains(err.Error(), "want numbers:FILE.csv") {
		t.Errorf("a column of a folder: %v", err)
	}
}

// TestSampleFiles: what a file of a sample may say.
func TestSampleFiles(t *testing.T) {
	for text, want := range map[string]string{
		"0.5": "[0.5]", " 1,2\r\n": "[1 2]", "": "[]", "nan": "[]", "1 nan": "[]", "1e39": "float32", "old": `"old"`, npyMagic: "is not a NumPy array", npyMagic + "\x01\x00\xff\x00{": "ends in its header",
		strings.Repeat("1 ", maxNumbers+1): "at most 4096",
	} {
		c := newColumnNumbers([]string{"age"})
		s := make(sample, 1)
		err := c.tell(s, 0, "x.age.txt", []byte(text))
		if got := fmt.Sprint(s[0]); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %s, %v; want %s", text, got, err, want)
		}
	}
	if x, err := finite([]float64{math.Inf(1)}, nil); err == nil {
		t.Errorf("an infinity is %v", x)
	}
}
