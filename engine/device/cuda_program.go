package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"fluxion/engine/plan"
	"fluxion/kernels/cast"
	"fluxion/kernels/cuda"
	"fluxion/kernels/feed"
	"fluxion/kernels/number"
)

// cudaProgram is a plan captured as a graph. What changes from run to run is in a
// table on the device, a row for each run; kernels read the row that a counter
// points at, and the last launch of the graph moves the counter on. So a run is an
// upload and a launch, and several runs are one upload and several launches.
type cudaProgram struct {
	device *CUDA
	plan   *plan.Plan
	memory *cudaMemory
	calls  [][]cuda.Call // of each launch of the plan
	graphs []cuda.Graph  // of each section; nil: the calls are launched one by one
	after  []cuda.Call   // behind all others of a run: the counter moves on

	parameters []parameters
	stride     int    // bytes of a row
	pinned     []byte // the table in the memory of the host
	uploaded   cuda.Event
	uploading  bool // pinned may still be read

	results []result
	slot    int           // of results, where those of the last run are
	copied  [2]cuda.Event // when they are there
	fresh   bool          // results are those of the last run
	waited  [2][]*later   // what is to be read of the results of a slot yet
	staging []byte        // for tensors that are read or written beside the results
}

// parameters of a launch and where they stand in a row.
type parameters struct {
	kernel      cuda.Parameterised
	from, bytes int
}

// result is a tensor that is copied out after every run, to one of two slots in turn.
type result struct {
	place  plan.Tensor
	pinned [2][]byte
}

// Load binds a plan and captures it.
func (d *CUDA) Load(p *plan.Plan, m Memory, results ...plan.Tensor) (Program, error) {
	memory, ok := m.(*cudaMemory)
	if !ok || memory.device != d {
		return nil, fmt.Errorf("memory of another device than %s", d.Name())
	}
	if err := fits(p, d, m); err != nil {
		return nil, err
	}
	g := &cudaProgram{device: d, plan: p, memory: memory}
	if err := g.load(results); err != nil {
		return nil, errors.Join(err, g.Free())
	}
	return g, nil
}

func (g *cudaProgram) load(results []plan.Tensor) error {
	if err := g.bind(); err != nil {
		return err
	}
	var err error
	if len(g.parameters) > 0 {
		g.after = []cuda.Call{feed.Advance(g.memory.base[plan.Table])}
		if g.pinned, err = g.device.device.AllocHost(plan.TableHead + g.plan.Ahead*g.stride); err != nil {
			return err
		}
		clear(g.pinned)
		if g.uploaded, err = g.device.device.NewEvent(); err != nil {
			return err
		}
	}
	for _, place := range results {
		g.results = append(g.results, result{place: place})
		for slot := range 2 {
			if g.results[len(g.results)-1].pinned[slot], err = g.device.device.AllocHost(span(place)); err != nil {
				return err
			}
		}
	}
	for slot := range g.copied {
		if len(results) > 0 {
			if g.copied[slot], err = g.device.device.NewEvent(); err != nil {
				return err
			}
		}
	}
	if err := g.device.device.Prepare(append(slices.Concat(g.calls...), g.after...)...); err != nil {
		return err
	}
	if err := g.device.device.Refused(); err != nil && !g.device.compiled {
		g.device.compiled = true
		g.device.note(fmt.Sprintf("%s does not take the program's machine code and compiles the kernels, which takes seconds the first time: %v", g.device.Name(), err))
	}
	if g.device.singly {
		return nil
	}
	return g.capture()
}

// capture makes a graph of a run. Without one, runs are launched kernel by kernel, which is slower
// and no reason to give up.
func (g *cudaProgram) capture() error {
	var graphs []cuda.Graph
	var err error
	for i := range g.sections() {
		var graph cuda.Graph
		if graph, err = g.device.stream.Capture(func() error { return g.launch(i, nil) }); err != nil {
			break
		}
		graphs = append(graphs, graph)
	}
	if err == nil {
		g.graphs = graphs
		return nil
	}
	for _, graph := range graphs {
		_ = graph.Close()
	}
	if e := (*cuda.Error)(nil); !errors.As(err, &e) || e.Result.Lost() || g.device.stream.Synchronize() != nil {
		return err // the stream is of no use any more
	}
	g.device.note(fmt.Sprintf("%s does not make a graph of a step, whose kernels are launched one by one: %v", g.device.Name(), err))
	return nil
}

// sections is how many parts a run has: they end with plan.Cuts, and with the plan.
func (g *cudaProgram) sections() int { return len(g.plan.Cuts) + 1 }

// section is the launches of one.
func (g *cudaProgram) section(i int) (first, end int) {
	end = len(g.calls)
	if i > 0 {
		first = g.plan.Cuts[i-1] + 1
	}
	if i < len(g.plan.Cuts) {
		end = g.plan.Cuts[i] + 1
	}
	return first, end
}

// launch puts a section of a run into the stream, kernel by kernel, and calls launched after each.
func (g *cudaProgram) launch(section int, launched func(what *KernelError) error) error {
	put := func(c cuda.Call, what func() *KernelError) error {
		if err := g.device.stream.Launch(c); err != nil {
			return err
		}
		if launched == nil {
			return nil
		}
		return launched(what())
	}
	first, end := g.section(section)
	for i := first; i < end; i++ {
		for k, c := range g.calls[i] {
			if err := put(c, func() *KernelError { return g.what(i, k) }); err != nil {
				return err
			}
		}
	}
	if end < len(g.calls) {
		return nil
	}
	for _, c := range g.after {
		if err := put(c, func() *KernelError { return &KernelError{Function: c.Name()} }); err != nil {
			return err
		}
	}
	return nil
}

// run is a section of a run of the plan, by its graph if there is one.
func (g *cudaProgram) run(section int) error {
	switch {
	case g.graphs != nil:
		return g.graphs[section].Launch(g.device.stream)
	case !g.device.singly:
		return g.launch(section, nil)
	}
	return g.launch(section, g.finished)
}

// finished waits for a kernel, whose name is what.
func (g *cudaProgram) finished(what *KernelError) error {
	err := g.device.stream.Synchronize()
	if err == nil {
		return nil
	}
	what.Device, what.Err = g.device.Name(), err
	return what
}

// what names a call of a launch.
func (g *cudaProgram) what(i, k int) *KernelError {
	e := &KernelError{Launch: i + 1, Of: len(g.plan.Launches), Operator: fmt.Sprint(g.plan.Launches[i].Kernel), Function: g.calls[i][k].Name()}
	for at := i; at >= 0 && e.Layer == ""; at-- {
		e.Layer = g.plan.Launches[at].Layer
		e.Behind = at < i && e.Layer != ""
	}
	return e
}

// bind asks every kernel for its launches at the addresses of this memory.
func (g *cudaProgram) bind() (err error) {
	g.calls, g.parameters, g.stride, err = bindPlan(g.plan, g.memory.base)
	return err
}

// bindPlan asks every kernel of a plan for its launches in buffers at these
// addresses, and says where in a row of the table its parameters stand.
func bindPlan(p *plan.Plan, base map[*plan.Buffer]cuda.Address) (calls [][]cuda.Call, all []parameters, stride int, err error) {
	target, ok := p.Target.(CUDATarget)
	if !ok {
		return nil, nil, 0, fmt.Errorf("a plan for %v is none for a GPU", p.Target)
	}
	address := func(t plan.Tensor) cuda.Address { return base[t.Buffer] + cuda.Address(t.Offset) }
	for _, l := range p.Launches {
		stride += p.Target.Row(l)
	}
	from := 0
	waiting := map[int][][]cuda.Call{} // by launch with which they run: first calls, second calls …
	for i, l := range p.Launches {
		b := target.bind(l, address)
		if l.Scratch.Bytes > 0 {
			b.Scratch = base[plan.Arena] + cuda.Address(l.Scratch.Offset)
		}
		if l.Partials.Chunks > 0 {
			b.Partials.Address = base[plan.Arena] + cuda.Address(l.Partials.Offset)
		}
		if n := p.Target.Row(l); n > 0 {
			k := l.Kernel.(cuda.Parameterised)
			all = append(all, parameters{k, from, k.ParameterBytes()})
			b.Parameters = cuda.Parameters{Table: base[plan.Table] + cuda.Address(plan.TableHead+from), Stride: stride, Counter: base[plan.Table]}
			from += n
		}
		c, err := callsOf(l, b)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("launch %d: %w", i, err)
		}
		if to := l.Later; to > 0 {
			for n := l.From; n < len(c); n++ {
				if n-l.From == len(waiting[to]) {
					waiting[to] = append(waiting[to], nil)
				}
				waiting[to][n-l.From] = append(waiting[to][n-l.From], c[n])
			}
			c = c[:min(l.From, len(c))]
		}
		for _, alike := range waiting[i] {
			c = append(c, cuda.SideBySide(alike)...)
		}
		calls = append(calls, c)
	}
	return calls, all, stride, nil
}

// Calls returns what a plan for a CUDA GPU launches, by launch of the plan, in
// buffers at these addresses, and the first row of its table.
func Calls(p *plan.Plan, base map[*plan.Buffer]cuda.Address) (calls [][]cuda.Call, table []byte, err error) {
	calls, all, stride, err := bindPlan(p, base)
	if err != nil {
		return nil, nil, err
	}
	table = make([]byte, plan.TableHead+stride)
	for _, k := range all {
		k.kernel.PutParameters(table[plan.TableHead+k.from:][:k.bytes])
	}
	return calls, table, nil
}

func (g *cudaProgram) address(t plan.Tensor) cuda.Address {
	return g.memory.address(t.Buffer, t.Offset)
}

// upload sets the parameters of n runs, from the first on, and brings them to the device.
func (g *cudaProgram) upload(first, n int, set func(i int) error) error {
	if err := g.mayPut(); err != nil {
		return err
	}
	for i := range n {
		if set != nil {
			if err := set(first + i); err != nil {
				return err
			}
		}
		g.putRow(i)
	}
	if len(g.parameters) == 0 {
		return nil
	}
	g.uploading = true
	if err := g.copyTable(n); err != nil {
		return err
	}
	return g.device.stream.Record(g.uploaded)
}

// mayPut waits until the table of the host is not read any more.
func (g *cudaProgram) mayPut() error {
	if !g.uploading {
		return nil
	}
	g.uploading = false
	return g.uploaded.Synchronize()
}

// putRow sets the parameters of a run in the table of the host.
func (g *cudaProgram) putRow(i int) {
	row := plan.TableHead + i*g.stride
	for _, p := range g.parameters {
		p.kernel.PutParameters(g.pinned[row+p.from:][:p.bytes])
	}
}

// copyTable brings rows of it to the device, and the counter to the first.
func (g *cudaProgram) copyTable(rows int) error {
	binary.LittleEndian.PutUint32(g.pinned, 0) // the counter
	return g.device.stream.CopyIn(g.memory.base[plan.Table], g.pinned[:plan.TableHead+rows*g.stride])
}

func (g *cudaProgram) RunSteps(n int, set func(i int) error) error {
	return g.runCut(n, set, func(int) error { return nil })
}

// RunCut executes a program of a GPU once. Behind each launch of its plan's Cuts it calls
// behind, when what comes until there is in the stream.
func RunCut(p Program, behind func(launch int) error) error {
	return p.(*cudaProgram).runCut(1, nil, behind)
}

func (g *cudaProgram) runCut(n int, set, behind func(i int) error) error {
	return g.device.kernelError(g.runSections(n, set, behind))
}

func (g *cudaProgram) runSections(n int, set, behind func(i int) error) error {
	if s := g.device.recording; s != nil {
		return s.record(g, behind)
	}
	for done := 0; done < n; {
		ahead := min(g.plan.Ahead, n-done)
		if err := g.upload(done, ahead, set); err != nil {
			return err
		}
		for range ahead {
			for i := range g.sections() {
				if err := g.run(i); err != nil {
					return err
				}
				if i == len(g.plan.Cuts) {
					break
				}
				if err := behind(g.plan.Cuts[i]); err != nil {
					return err
				}
			}
		}
		done += ahead
	}
	g.fresh, g.slot = true, 1-g.slot
	g.take(g.slot)
	if err := g.copyResults(g.slot); err != nil || g.results == nil {
		return err
	}
	return g.device.stream.Record(g.copied[g.slot])
}

// copyResults brings the results of a run to a slot of the host.
func (g *cudaProgram) copyResults(slot int) error {
	for _, r := range g.results {
		if err := g.device.stream.CopyOut(r.pinned[slot], g.address(r.place)); err != nil {
			return err
		}
	}
	return nil
}

// later is a result of a run, to be read when others are under way.
type later struct {
	of     *cudaProgram
	slot   int
	pinned []byte
	values []float32
	err    error
}

// Later returns what reads a tensor of float32 of the last run of a program of a GPU, which is one of its results,
// while further runs are under way; of a program of another device nothing.
func Later(p Program, t plan.Tensor) func() ([]float32, error) {
	g, ok := p.(*cudaProgram)
	if !ok || t.Type != number.Float32 || t.Pitch != t.Cols() && t.Rows() > 1 {
		return nil
	}
	for _, r := range g.results {
		if r.place.Buffer == t.Buffer && r.place.Offset == t.Offset && span(r.place) == span(t) {
			l := &later{of: g, slot: g.slot, pinned: r.pinned[g.slot]}
			g.waited[g.slot] = append(g.waited[g.slot], l)
			return func() ([]float32, error) {
				if l.of != nil {
					g.take(l.slot)
				}
				return l.values, l.err
			}
		}
	}
	return nil
}

// take reads what is to be read of a slot, before another run writes there.
func (g *cudaProgram) take(slot int) {
	if len(g.waited[slot]) == 0 {
		return
	}
	err := g.device.kernelError(g.copied[slot].Synchronize())
	for _, l := range g.waited[slot] {
		l.values, l.err, l.of = make([]float32, len(l.pinned)/4), err, nil
		copy(bytesOf(l.values), l.pinned)
	}
	g.waited[slot] = g.waited[slot][:0]
}

func (g *cudaProgram) Launches(visit func(i int) error) error {
	g.fresh = false
	if err := g.upload(0, 1, nil); err != nil {
		return err
	}
	for i, calls := range g.calls {
		for k, c := range calls {
			if err := g.device.stream.Launch(c); err != nil {
				return err
			}
			if k == len(calls)-1 || g.device.singly {
				if err := g.finished(g.what(i, k)); err != nil {
					return err
				}
			}
		}
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}

// span is the bytes from the first to the last element of a tensor.
func span(t plan.Tensor) int { return ((t.Rows()-1)*t.Pitch + t.Cols()) * t.Type.Size() }

// copyOut returns the memory of a tensor, until the next call.
func (g *cudaProgram) copyOut(t plan.Tensor) ([]byte, error) {
	if err := g.device.wait(); err != nil {
		return nil, err
	}
	for _, r := range g.results {
		if g.fresh && r.place.Buffer == t.Buffer && r.place.Offset == t.Offset && r.place.Type == t.Type && span(r.place) == span(t) {
			return r.pinned[g.slot], nil
		}
	}
	b := g.staged(span(t))
	return b, g.device.device.CopyOut(b, g.address(t))
}

func (g *cudaProgram) staged(n int) []byte {
	g.staging = slices.Grow(g.staging[:0], n)[:n]
	return g.staging
}

func (g *cudaProgram) Read(t plan.Tensor, dst []float32) error {
	if len(dst) != t.Values() {
		return errLength
	}
	if t.Type == number.Uint8 {
		return errNumbers(t)
	}
	b, err := g.copyOut(t)
	if err != nil {
		return err
	}
	size := t.Type.Size()
	for r := range t.Rows() {
		to, from := dst[r*t.Cols():][:t.Cols()], b[r*t.Pitch*size:][:t.Cols()*size]
		if t.Type == number.Float32 {
			copy(bytesOf(to), from)
			continue
		}
		for c := range to {
			to[c] = number.Widen(binary.LittleEndian.Uint16(from[2*c:]))
		}
	}
	return nil
}

func (g *cudaProgram) ReadBytes(t plan.Tensor, dst []byte) error {
	if len(dst) != t.Values() {
		return errLength
	}
	if t.Type != number.Uint8 || t.Pitch != t.Cols() {
		return errBytes(t)
	}
	b, err := g.copyOut(t)
	copy(dst, b)
	return err
}

func (g *cudaProgram) Write(t plan.Tensor, src []float32) error {
	if len(src) != t.Values() {
		return errLength
	}
	if t.Type == number.Uint8 {
		return errNumbers(t)
	}
	if err := g.device.wait(); err != nil {
		return err
	}
	rows, cols := t.Rows(), t.Cols()
	if t.Pitch == cols {
		rows, cols = 1, rows*cols
	}
	g.fresh = false
	size := t.Type.Size()
	for r := range rows {
		from := src[r*cols:][:cols]
		b := bytesOf(from)
		if t.Type == number.BFloat16 {
			bf16 := make([]uint16, cols)
			cast.Narrow(bf16, from)
			b = g.staged(2 * cols)
			for c, x := range bf16 {
				binary.LittleEndian.PutUint16(b[2*c:], x)
			}
		}
		if err := g.device.device.CopyIn(g.address(t)+cuda.Address(r*t.Pitch*size), b); err != nil {
			return err
		}
	}
	return nil
}

// Free waits for the runs so far, whose buffers it gives back.
func (g *cudaProgram) Free() error {
	err := released(g.device.stream.Synchronize())
	for _, graph := range g.graphs {
		err = errors.Join(err, released(graph.Close()))
	}
	if g.uploaded != nil {
		err = errors.Join(err, released(g.uploaded.Close()))
	}
	if g.pinned != nil {
		err = errors.Join(err, released(g.device.device.FreeHost(g.pinned)))
	}
	for slot := range 2 {
		for _, r := range g.results {
			if r.pinned[slot] != nil {
				err = errors.Join(err, released(g.device.device.FreeHost(r.pinned[slot])))
			}
		}
		if g.copied[slot] != nil {
			err = errors.Join(err, released(g.copied[slot].Close()))
		}
		g.copied[slot] = nil
	}
	g.graphs, g.uploaded, g.pinned, g.results = nil, nil, nil, nil
	return err
}

// bytesOf is the memory of floats; devices and hosts are little-endian alike.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
