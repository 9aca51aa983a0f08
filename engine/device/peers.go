package device

import (
	"errors"
	"fmt"
	"os"
	"time"

	"fluxion/engine/collective"
	"fluxion/engine/plan"
	"fluxion/kernels/cuda"
	"fluxion/kernels/cuda/nccl"
)

// NCCLVariable says by what GPUs of several processes exchange memory: the path of libnccl,
// sim between simulated GPUs, or off, through the memory of the host. Without it, it is the
// installed libnccl, and the host between simulated ones.
const NCCLVariable = "FLUXION_NCCL"

// NoNCCL is its value for the memory of the host.
const NoNCCL = "off"

// Part is numbers of a buffer of float32.
type Part struct {
	Buffer  *plan.Buffer
	From, N int
}

// Peers moves numbers between the memories of processes that train together.
type Peers interface {
	// About names what moves them.
	About() string
	// Begin has the parts of send, by rank, go to the other processes, and those of recv
	// filled with what they send: as many from each, and as long, as it sends here. All
	// processes begin the same, in the same order. What has been run before is over then,
	// what is run behind may be done at the same time.
	Begin(m Memory, send, recv [][]Part) error
	// Mark marks what has begun until here.
	Mark() error
	// Reach has what is run behind wait for what had begun at a mark, the first of which since
	// Finish is 0.
	Reach(mark int) error
	// Finish waits until all that has begun is done.
	Finish() error
	// Close ends it: with all the others, or at once if the group is not in step any more.
	Close() error
}

// Exchange begins, and waits until it is done.
func Exchange(p Peers, m Memory, send, recv [][]Part) error {
	if err := p.Begin(m, send, recv); err != nil {
		return err
	}
	return p.Finish()
}

// NewPeers joins the devices of a group's processes, which all call it.
func NewPeers(d Device, g collective.Group) (Peers, error) {
	library, err := libraryFor(d)
	if err = g.Agree(err); err != nil {
		return nil, err
	}
	own := (&viaHost{}).About()
	if library != nil {
		own = library.String()
	}
	all, err := collective.GatherValues(g, own)
	if err != nil {
		return nil, err
	}
	for rank, by := range all {
		if by != all[0] {
			return nil, fmt.Errorf("process %d of the group exchanges by %s, and the first by %s: want the same %s, and the same library", rank, by, all[0], NCCLVariable)
		}
	}
	if library == nil {
		return &viaHost{group: g}, nil
	}
	return joinNCCL(d.(*CUDA), g, library)
}

// libraryFor is the library by which a device exchanges memory with others; nil: none.
func libraryFor(d Device) (*nccl.Library, error) {
	gpu, ok := d.(*CUDA)
	name := os.Getenv(NCCLVariable)
	switch {
	case !ok || name == NoNCCL || name == "" && d.Simulated():
		return nil, nil
	case d.Simulated() != (name == nccl.Simulated):
		return nil, fmt.Errorf("%s=%s: want %s for simulated GPUs, and for them alone", NCCLVariable, name, nccl.Simulated)
	}
	l, err := nccl.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; %s=PATH says where it is, %s=%s exchanges through the memory of the host", gpu.Name(), err, NCCLVariable, NCCLVariable, NoNCCL)
	}
	return l, nil
}

// viaHost moves numbers by the group's link, through the memory of the host, in the end.
type viaHost struct {
	group collective.Group
	begun []func() error
	done  int   // of them
	marks []int // how many had begun
}

func (*viaHost) About() string { return "the memory of the host" }

func (*viaHost) Close() error { return nil }

func (v *viaHost) Begin(m Memory, send, recv [][]Part) error {
	v.begun = append(v.begun, func() error { return v.exchange(m, send, recv) })
	return nil
}

func (v *viaHost) Mark() error {
	v.marks = append(v.marks, len(v.begun))
	return nil
}

func (v *viaHost) Reach(mark int) error { return v.exchanges(v.marks[mark]) }

func (v *viaHost) Finish() error {
	err := v.exchanges(len(v.begun))
	v.begun, v.done, v.marks = nil, 0, nil
	return err
}

// exchanges does those that have begun, up to so many.
func (v *viaHost) exchanges(until int) error {
	for ; v.done < until; v.done++ {
		if err := v.begun[v.done](); err != nil {
			return err
		}
	}
	return nil
}

// exchange moves the first parts of all, then the second ones, and so on.
func (v *viaHost) exchange(m Memory, send, recv [][]Part) error {
	for i := 0; ; i++ {
		at := func(all [][]Part, r int) (Part, bool) {
			if r < len(all) && i < len(all[r]) {
				return all[r][i], true
			}
			return Part{}, false
		}
		out, in := make([][]byte, v.group.World), make([][]byte, v.group.World)
		var landed []func() error
		more := false
		for r := range v.group.World {
			if p, ok := at(send, r); ok {
				more = true
				x := make([]float32, p.N)
				if err := m.Read(p.Buffer, p.From, x); err != nil {
					return err
				}
				out[r] = collective.Bytes(x)
			}
			if p, ok := at(recv, r); ok {
				more = true
				x := make([]float32, p.N)
				in[r] = collective.Bytes(x)
				landed = append(landed, func() error { return m.Write(p.Buffer, p.From, x) })
			}
		}
		if !more {
			return nil
		}
		if err := v.group.Exchange(out, in); err != nil {
			return err
		}
		for _, write := range landed {
			if err := write(); err != nil {
				return err
			}
		}
	}
}

// byNCCL moves numbers between GPUs, in a stream beside that of the device.
type byNCCL struct {
	device  *CUDA
	group   collective.Group
	library *nccl.Library
	*nccl.Communicator

	stream      cuda.Stream
	before, end cuda.Event   // in the device's stream, before what is begun; in this one, behind it
	marks       []cuda.Event // in this one
	marked      int          // of them, since Finish
	bytes       int64        // that are on their way
}

// joining is how long processes may take to be joined by NCCL.
const joining = 2 * time.Minute

func joinNCCL(d *CUDA, g collective.Group, l *nccl.Library) (Peers, error) {
	var id nccl.ID
	var err error
	if g.Rank == 0 {
		id, err = l.ID()
	}
	if err = g.Agree(err); err != nil {
		return nil, err
	}
	if id, err = collective.BroadcastValue(g, id); err != nil {
		return nil, err
	}
	p := &byNCCL{device: d, group: g, library: l}
	begin := time.Now()
	late := func() error {
		if time.Since(begin) > joining {
			return fmt.Errorf("%v does not join the processes", l)
		}
		return nil
	}
	var failed error // of this process alone, which the others are told of
	abandoned := make(chan struct{})
	err = g.Await(0, func() error {
		done := make(chan error, 1)
		go func() {
			c, err := l.Join(d.device, id, g.Rank, g.World)
			p.Communicator = c
			done <- err
		}()
		select {
		case failed = <-done:
		case <-abandoned: // NCCL waits on, until the process ends
		}
		return nil
	}, late, func() { close(abandoned) })
	if err != nil {
		return nil, err
	}
	if err = g.Agree(failed); err != nil {
		if failed == nil {
			err = errors.Join(err, p.Abort())
		}
		return nil, err
	}
	if p.stream, err = d.device.NewStream(); err == nil {
		p.before, err = d.device.NewEvent()
	}
	if err == nil {
		p.end, err = d.device.NewEvent()
	}
	if err = g.Agree(err); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *byNCCL) About() string { return p.library.String() }

func (p *byNCCL) Begin(m Memory, send, recv [][]Part) error {
	memory, ok := m.(*cudaMemory)
	if !ok || memory.device != p.device {
		return fmt.Errorf("memory of another device than %s", p.device.Name())
	}
	places := func(all [][]Part) ([][]nccl.Part, error) {
		placed := make([][]nccl.Part, len(all))
		for r, parts := range all {
			for _, part := range parts {
				if err := inside(part.Buffer, memory.sizes[part.Buffer], part.From, part.N); err != nil {
					return nil, err
				}
				placed[r] = append(placed[r], nccl.Part{Address: memory.address(part.Buffer, 4*part.From), Bytes: 4 * part.N})
			}
		}
		return placed, nil
	}
	in, err := places(recv)
	if err != nil {
		return err
	}
	out, err := places(send)
	if err != nil {
		return err
	}
	for _, parts := range out {
		for _, part := range parts {
			p.bytes += int64(part.Bytes)
		}
	}
	if err = p.device.stream.Record(p.before); err == nil {
		err = p.stream.Wait(p.before)
	}
	if err == nil {
		err = p.Exchange(p.stream, out, in)
	}
	if p.device.recording != nil {
		return err // nothing has been done yet
	}
	return p.group.Fail(err)
}

func (p *byNCCL) Mark() error {
	if p.marked == len(p.marks) {
		e, err := p.device.device.NewEvent()
		if err != nil {
			return err
		}
		p.marks = append(p.marks, e)
	}
	p.marked++
	return p.stream.Record(p.marks[p.marked-1])
}

func (p *byNCCL) Reach(mark int) error { return p.device.stream.Wait(p.marks[mark]) }

// Finish has what follows in the stream of the device wait, too.
func (p *byNCCL) Finish() error {
	p.marked = 0
	err := p.stream.Record(p.end)
	if err == nil {
		err = p.device.stream.Wait(p.end)
	}
	if s := p.device.recording; s != nil { // whose end all is waited for
		s.bytes, p.bytes = s.bytes+p.bytes, 0
		return err
	}
	if err == nil {
		err = p.group.Await(p.bytes, p.device.wait, p.Failed, func() { _ = p.Abort() })
	}
	p.bytes = 0
	return p.group.Fail(err)
}

// Close ends the communicator. Where a process has failed, nothing may wait for it.
func (p *byNCCL) Close() error {
	end := p.Communicator.Close
	if p.group.Lost() != nil {
		end = p.Abort
	}
	err := end()
	for _, e := range p.marks {
		err = errors.Join(err, released(e.Close()))
	}
	if p.end != nil {
		err = errors.Join(err, released(p.end.Close()))
	}
	if p.before != nil {
		err = errors.Join(err, released(p.before.Close()))
	}
	if p.stream != nil {
		err = errors.Join(err, released(p.stream.Close()))
	}
	return err
}
