package device

import (
	"fmt"
	"strings"

	"fluxion/engine/device/tuning"
	"fluxion/engine/plan"
)

// Tune gives programs that are loaded from now on the table of this machine's fastest tile
// sizes, which they extend if it learns.
func (d *CPU) Tune(t *tuning.Table) { d.table = t }

// Tuned is what the table of this device knows of a launch.
func (d *CPU) Tuned(l plan.Launch) (tuning.Entry, bool) { return d.table.Lookup(d.key(l)) }

// key holds all that a launch's fastest tile size depends on, but for the machine.
func (d *CPU) key(l plan.Launch) string {
	var b strings.Builder
	text := func(t plan.Tensor) {
		fmt.Fprintf(&b, " %v%v", t.Type, t.Shape)
		if t.Pitch != t.Cols() {
			fmt.Fprintf(&b, "/%d", t.Pitch)
		}
	}
	fmt.Fprintf(&b, "%s ×%d, %v:", d.pool.Kernels().Name, d.pool.Threads(), l.Kernel)
	for _, t := range l.In {
		text(t)
	}
	b.WriteString(" →")
	text(l.Out)
	if l.PerImage != nil {
		b.WriteString(" + per image")
	}
	if l.Add != nil {
		b.WriteString(" + addend")
	}
	if l.Prepared.Bytes > 0 {
		b.WriteString(", weights laid out")
	}
	return b.String()
}

// Trying is how many kinds of launches have tile sizes to be tried still.
func (d *CPU) Trying() int { return d.table.Trying() }
