package train

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/engine/model"
	"fluxion/nets"
)

// adoptRows says with which row of a model's table of classes each of the run's begins, and
// tells it; nil: with that of the same place, or there is no table. Classes are the same by
// their names, or, where none is, by their order if there are as many. The others begin as the
// class that stands for none where the model was trained without labels, too: it then makes of
// them what it makes of any image. Else they begin as the mean of its classes.
func adoptRows(m *model.Model, n nets.Spec, classes []string) (rows []int, told []string) {
	has := m.Network.Spec().Classes
	if n.Classes == 0 || has == 0 {
		return nil, nil
	}
	known := has
	if m.Guided {
		known--
	}
	begin, as := nets.MeanRow, "the mean of the model's"
	if m.Guided && !m.Untrained {
		begin, as = known, "the model's class that stands for none"
	}
	var fresh []string
	for _, c := range classes {
		row := slices.Index(m.Classes, c)
		if row < 0 {
			row = begin
			fresh = append(fresh, c)
		}
		rows = append(rows, row)
	}
	none := nets.MeanRow
	if m.Guided {
		none = known
	}
	if rows = append(rows, none); len(fresh) == len(classes) && (known == len(classes) || has == n.Classes) {
		return adoptInOrder(m, classes, known, has == n.Classes, none)
	}
	if len(fresh) == 0 && slices.Equal(m.Classes, classes) && has == n.Classes {
		return nil, nil
	}
	text := fmt.Sprintf("of %d classes, %d are the model's by name", len(classes), len(classes)-len(fresh))
	if k := len(fresh); k > 0 {
		text += fmt.Sprintf("; %s begin as %s", some(fresh), as)
	}
	if m.Classes == nil {
		text += " (what the classes of the model are called is not known)"
	} else if left := known - (len(classes) - len(fresh)); left > 0 {
		text += fmt.Sprintf("; %d of the model's are left out", left)
	}
	return rows, []string{text}
}

// adoptInOrder takes the rows of a table one by one.
func adoptInOrder(m *model.Model, classes []string, known int, same bool, none int) (rows []int, told []string) {
	if !same {
		for i := range classes {
			rows = append(rows, i)
		}
		rows = append(rows, none)
	}
	if len(m.Classes) == 0 || known != len(classes) {
		return rows, nil
	}
	return rows, []string{fmt.Sprintf("no class has the name of one of the model's: they are taken over in their order, %s as %s and so on", classes[0], m.Classes[0])}
}

// some names the first few.
func some(names []string) string {
	text := strings.Join(names[:min(len(names), mostFresh)], ", ")
	if more := len(names) - mostFresh; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// fold has the model's network make of every image what it makes of one without its class, or
// its numbers, where the run's is told none.
func (b *beginning) fold(n nets.Spec) {
	m := b.from
	spec := m.Network.Spec()
	numbers := m.Labels != nil && m.Labels.None
	if !spec.Conditional() || spec.Classes > 0 && n.Classes > 0 || n.Condition != "" && spec.Condition == n.Condition {
		return
	}
	teller, ok := m.Network.(nets.Teller)
	if met := numbers || m.Guided && !m.Untrained; !ok || !met {
		b.told = append(b.told, "the model never met an image without its label: what it was told is left out, and what it makes of that is not known")
		return
	}
	alone, folded, ok := teller.Untold(m.Weights, m.Untold())
	if !ok {
		return
	}
	from := *m // which may be the teacher, too
	from.Weights = slices.Clone(m.Weights)
	has := map[string]nets.Param{}
	for _, p := range nets.Params(m.Network) {
		has[p.Name] = p
	}
	for _, p := range nets.Params(alone) {
		copy(from.Weights[has[p.Name].Offset:], folded[p.Offset:][:p.Size()])
	}
	b.from = &from
	b.told = append(b.told, "the run has no labels of its model's kind: it begins as the model is without one, which became part of its embedding of time")
}
