package sampler

import (
	"math"
	"slices"

	"fluxion/engine/process"
)

// flowMap goes where a flow map leads. Its network, which is told how far its answer is to
// lead, says u(z, t, r), the mean velocity of the flow from t to r on the straight path:
// with z̃ = z/(α+σ) and η = σ/(α+σ), z̃_r = z̃ − (η_t − η_r) u (N. Boffi, M. Albergo,
// E. Vanden-Eijnden, "Flow Map Matching", 2024). With eta it leads to (1−eta) η_s, and
// fresh noise takes it up to η_s: all the way to the data and back where eta is 1, which
// is how consistency models take several steps.
// It never leads from data to noise: there, it is asked for velocities.
func flowMap(b *builder, i int, t, s process.Point) {
	if b.options.Invert {
		euler(b, i, t, s)
		return
	}
	from, to := t.Alpha+t.Sigma, s.Alpha+s.Sigma
	begin, end := t.Sigma/from, s.Sigma/to
	leads := (1 - value(b.options.Eta, 0)) * end
	kept := (1 - end) / (1 - leads)
	step := to * kept * (leads - begin)
	b.row(t, Sum{Z: to * kept / from, X: -step, Eps: step}, to*math.Sqrt(math.Max(0, (end-kept*leads)*(end+kept*leads))))
	if b.err != nil {
		return
	}
	r := &b.rows[len(b.rows)-1]
	r.Jump = t.NetworkTime * (begin - leads) / begin
	if leads != 0 {
		r.X = process.Linear{} // what z and a mean velocity say of x is no image
	}
}

// Leads says whether the table is for flow maps: for networks that are told how far their
// answer is to lead.
func (t Table) Leads() bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Jump != 0 })
}
