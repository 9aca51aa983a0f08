package device

import (
	"errors"
	"fmt"

	"fluxion/engine/collective"
	"fluxion/kernels/cuda"
)

// Sequence is programs that a GPU runs in turn, and what goes to other processes between them, in a graph
// of all. Exchanges are part of it, as NCCL can be captured (NCCL User Guide, "Using NCCL with CUDA
// Graphs"): all processes capture the same, or none does.
type Sequence struct {
	times    int
	refused  bool // there is no graph
	graph    cuda.Graph
	programs []*cudaProgram // in their order
	bytes    int64          // that go to others
}

// Run does what do does by Run, RunCut, Exchange, Begin, Mark, Reach and Finish, which is the same each time. All
// processes of the group call it together. The first time it is done as it is, for then NCCL connects
// processes; the second time a graph is made of it, which runs from then on.
func (s *Sequence) Run(peers Peers, do func() error) error {
	p, ok := peers.(*byNCCL)
	if s.times++; !ok || s.times == 1 || s.refused {
		return do()
	}
	if s.graph == nil {
		if err := s.capture(p, do); err != nil || s.refused {
			return errors.Join(err, s.ifRefused(do))
		}
	}
	var err error
	for _, g := range s.programs {
		err = errors.Join(err, g.mayPut())
		g.take(0)
		g.putRow(0)
		g.fresh, g.slot = true, 0
	}
	if err == nil {
		err = s.graph.Launch(p.device.stream)
	}
	if err == nil {
		err = p.group.Await(s.bytes, p.device.wait, p.Failed, func() { _ = p.Abort() })
	}
	return p.group.Fail(p.device.kernelError(err))
}

func (s *Sequence) ifRefused(do func() error) error {
	if !s.refused {
		return nil
	}
	return do()
}

// capture makes the graph, if that can be had in all processes.
func (s *Sequence) capture(p *byNCCL, do func() error) error {
	d := p.device
	var graph cuda.Graph
	failed := errors.New("kernels are launched one by one")
	if !d.singly {
		d.recording = s
		graph, failed = d.stream.Capture(do)
		d.recording = nil
	}
	all, err := collective.GatherValues(p.group, failed == nil)
	for _, captured := range all {
		s.refused = s.refused || !captured
	}
	if err == nil && failed != nil && !d.singly {
		if e := (*cuda.Error)(nil); errors.As(failed, &e) && e.Result.Lost() || d.stream.Synchronize() != nil {
			err = failed // the stream is of no use any more
		} else {
			d.note(fmt.Sprintf("%s does not make a graph of exchanges by %v, which lie between graphs: %v", d.Name(), p.library, failed))
		}
	}
	if graph != nil && (err != nil || s.refused) {
		err = errors.Join(err, graph.Close())
		graph = nil
	}
	s.graph = graph
	if p.bytes, p.marked = 0, 0; graph == nil {
		s.programs = nil
	}
	return p.group.Fail(err)
}

// record puts a run of a program into the graph that is made.
func (s *Sequence) record(g *cudaProgram, behind func(launch int) error) error {
	s.programs = append(s.programs, g)
	if len(g.parameters) > 0 {
		if err := g.copyTable(1); err != nil {
			return err
		}
	}
	for i := range g.sections() {
		if err := g.launch(i, nil); err != nil {
			return err
		}
		if i < len(g.plan.Cuts) {
			if err := behind(g.plan.Cuts[i]); err != nil {
				return err
			}
		}
	}
	return g.copyResults(0)
}

// Free gives the graph back, before the programs are.
func (s *Sequence) Free() error {
	if s.graph == nil {
		return nil
	}
	err := released(s.graph.Close())
	s.graph, s.programs, s.refused = nil, nil, true
	return err
}
