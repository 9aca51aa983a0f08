package data

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data/parquet"
)

// Labels that are numbers of columns: of a table of parquet, or of the samples of a WebDataset,
// whose columns are fields of their .json, or files of other endings.

// columnsOf are the columns whose numbers a value of Options.Labels asks for, none where it says
// none; ok is false where it asks for no numbers, or for those of a file.
func columnsOf(labels string) (columns []string, ok bool) {
	of, ok := isNumbers(labels)
	if !ok || of == "" {
		return nil, ok
	}
	if slices.Contains(labelEndings, strings.ToLower(filepath.Ext(of))) {
		return nil, false
	}
	return strings.Split(of, ","), true
}

// columnNumbers gathers the numbers of images, column by column.
type columnNumbers struct {
	columns []string // that are asked for; none: that of the labels
	called  []string // the columns as messages and names have them
	widths  []int    // how many numbers each has; 0: not known yet
	seen    map[string]bool
}

func (c *columnNumbers) wanted() []string {
	if c.columns == nil {
		return labelColumns
	}
	return c.columns
}

// see keeps what else there is to choose from.
func (c *columnNumbers) see(name string) {
	const most = 32
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	if len(c.seen) < most && len(name) <= maxColumnName {
		c.seen[name] = true
	}
}

// maxColumnName bounds the name of a column that a message lists.
const maxColumnName = 64

// missing is the error of a set without a column.
func (c *columnNumbers) missing(name string) error {
	there := "and there is none"
	if len(c.seen) > 0 {
		there = "of " + strings.Join(slices.Sorted(maps.Keys(c.seen)), ", ")
	}
	if c.columns == nil {
		name = strings.Join(labelColumns[:3], ", ")
	}
	return fmt.Errorf("has no numbers called %s; want numbers:COLUMN, or some with commas between, %s; or numbers:FILE.csv", name, there)
}

// width holds all images to as many numbers of a column.
func (c *columnNumbers) width(column, n int) error {
	if n == 0 {
		return nil
	}
	if was := c.widths[column]; was != 0 && was != n {
		return fmt.Errorf("column %s has %d numbers of one image and %d of another; want as many of each", c.called[column], was, n)
	}
	c.widths[column] = n
	return nil
}

// numbers are those of images, each of them the values of all columns one behind the other.
func (c *columnNumbers) numbers(f *files, images []mark) (*Numbers, error) {
	var names []string
	for i, n := range c.widths {
		names = append(names, columnNames(c.called[i], n)...)
	}
	without := 0
	for _, m := range images {
		if m.numbers == nil {
			without++
		}
	}
	if without > 0 && without < len(images) {
		f.notes = append(f.notes, "without a label: "+count(without, "image"))
	}
	return newNumbers(names, images)
}

// columnNames are those of the numbers of a column.
func columnNames(column string, n int) (names []string) {
	if n == 1 {
		return []string{column}
	}
	for k := range n {
		names = append(names, fmt.Sprintf("%s.%d", column, k))
	}
	return names
}

// finite takes the numbers of a column: none where one is NaN.
func finite(of []float64, to []float32) ([]float32, error) {
	before := len(to)
	for _, v := range of {
		if v != v {
			return to[:before], nil
		}
		x, ok := number(v)
		if !ok {
			return nil, fmt.Errorf("has the label %v; want numbers of float32, finite or NaN for none", v)
		}
		to = append(to, x)
	}
	return to, nil
}

// tableColumns are the columns of a file that go by a name: one of numbers, or of lists of them,
// or all of a struct.
func tableColumns(p *parquet.File, name string) (found []*parquet.Column) {
	for _, c := range p.Columns {
		if c.Number && (c.Path == name || strings.HasPrefix(c.Path, name+".")) {
			found = append(found, c)
		}
	}
	return found
}

// columnName is how a column is called: a list by what it is of.
func columnName(c *parquet.Column) string {
	name := c.Path
	for _, as := range []string{".list.element", ".list.item", ".list.array", ".bag.array_element"} {
		name = strings.TrimSuffix(name, as)
	}
	return name
}

// missingIn is the error of a table without a column.
func (c *columnNumbers) missingIn(p *parquet.File, name string) error {
	for _, other := range p.Columns {
		if other.Number {
			c.see(columnName(other))
		}
	}
	return c.missing(name)
}

// readTable adds the numbers of a file's rows to those of images.
func (c *columnNumbers) readTable(p *parquet.File, images []mark) ([]mark, error) {
	var columns []*parquet.Column
	for _, name := range c.wanted() {
		found := tableColumns(p, name)
		if len(found) == 0 && c.columns != nil {
			return nil, c.missingIn(p, name)
		}
		if columns = append(columns, found...); c.columns == nil && len(columns) > 0 {
			break
		}
	}
	if len(columns) == 0 {
		return nil, c.missingIn(p, "")
	}
	var called []string
	for _, column := range columns {
		called = append(called, columnName(column))
	}
	if c.called == nil {
		c.called, c.widths = called, make([]int, len(called))
	}
	if !slices.Equal(c.called, called) {
		return nil, fmt.Errorf("has columns %s, and the files before it %s", strings.Join(called, ", "), strings.Join(c.called, ", "))
	}
	first, none := len(images), make([]bool, p.Rows)
	images = append(images, make([]mark, p.Rows)...)
	for i, column := range columns {
		err := p.ReadNumbers(column, maxNumbers, func(row int64, of []float64) error {
			m := &images[first+int(row)]
			before := len(m.numbers)
			var err error
			if m.numbers, err = finite(of, m.numbers); err != nil {
				return fmt.Errorf("row %d %w", row, err)
			}
			none[row] = none[row] || len(m.numbers) == before
			return c.width(i, len(m.numbers)-before)
		})
		if err != nil {
			return nil, err
		}
	}
	for row, without := range none {
		if without {
			images[first+row].numbers = nil
		}
	}
	return images, nil
}
