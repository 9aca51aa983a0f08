package device

import (
	"errors"
	"fmt"
	"maps"

	"fluxion/engine/plan"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// CUDA runs plans on an NVIDIA GPU, or a simulated one. All work goes through one
// stream, so it runs in the order in which it is given.
type CUDA struct {
	ordinal int
	device  cuda.Device
	stream  cuda.Stream
	card    cuda.Card    // that its plans are cut for
	note    func(string) // told what is otherwise than it should be
	singly  bool         // kernels are launched one by one and waited for; see GraphVariable

	recording *Sequence // that programs and exchanges are put into the graph of; nil: they run

	compiled bool // it was noted that the driver compiles the kernels
}

// NewCUDA opens a device of a driver.
func NewCUDA(driver cuda.Driver, ordinal int) (*CUDA, error) {
	return newCUDA(driver, ordinal, cuda.WaitAsDriver)
}

func newCUDA(driver cuda.Driver, ordinal int, wait cuda.Waiting) (*CUDA, error) {
	devices, err := driver.Devices()
	if err != nil {
		return nil, err
	}
	if ordinal >= len(devices) {
		return nil, fmt.Errorf("there are %d CUDA devices, no number %d", len(devices), ordinal)
	}
	device, err := driver.Open(ordinal, wait)
	if err != nil {
		return nil, err
	}
	stream, err := device.NewStream()
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	return &CUDA{ordinal: ordinal, device: device, stream: stream, card: cuda.CardOf(device.Properties()), note: func(string) {}}, nil
}

// wait until all work is done. An error of a kernel is seen here.
func (d *CUDA) wait() error { return d.kernelError(d.stream.Synchronize()) }

// Name returns "cuda:0" for the first device.
func (d *CUDA) Name() string { return fmt.Sprintf("cuda:%d", d.ordinal) }

// Describe names the GPU.
func (d *CUDA) Describe() string {
	p := d.device.Properties()
	return fmt.Sprintf("%s, compute capability %d.%d, %.1f GiB", p.Name, p.Major, p.Minor, float64(p.Memory)/(1<<30))
}

// Target is a CUDA GPU as this one is.
func (d *CUDA) Target() plan.Target { return CUDATarget{d.card} }

// Simulated says whether this is no GPU.
func (d *CUDA) Simulated() bool { return d.device.Properties().Simulated }

// Threads is how many threads the host has for other work.
func (*CUDA) Threads() int { return cpu.Threads() }

// Room is the memory that is free now.
func (d *CUDA) Room() (int64, error) {
	free, _, err := d.device.MemoryInfo()
	return free, err
}

// PeakFLOPS is the rate by the hardware's description, at its highest clock.
func (d *CUDA) PeakFLOPS(precision number.Type) float64 {
	p := d.device.Properties()
	if p.Simulated {
		return 0
	}
	return p.PeakFLOPS(precision)
}

// PeakBytes is the rate by the hardware's description: two transfers a cycle of
// the memory's clock.
func (d *CUDA) PeakBytes() float64 {
	p := d.device.Properties()
	if p.Simulated {
		return 0
	}
	return 2 * float64(p.MemoryClockHz) * float64(p.BusBits) / 8
}

// Close waits for what runs and gives everything back.
func (d *CUDA) Close() error {
	return errors.Join(released(d.stream.Close()), d.device.Close())
}

// released drops the error of giving something back on a device that is lost:
// whoever lost it was told, and Close takes all with it.
func released(err error) error {
	if e := (*cuda.Error)(nil); errors.As(err, &e) && e.Result.Lost() {
		return nil
	}
	return err
}

// cudaMemory is buffers on a GPU.
type cudaMemory struct {
	device *CUDA
	sizes  plan.Sizes
	base   map[*plan.Buffer]cuda.Address
}

// Alloc returns memory on the GPU.
func (d *CUDA) Alloc(sizes plan.Sizes) (Memory, error) {
	m := &cudaMemory{d, maps.Clone(sizes), map[*plan.Buffer]cuda.Address{}}
	separate := sizes.Separate()
	err := func() error {
		for _, b := range separate.Buffers() {
			n := separate[b]
			base, err := d.device.Alloc(n)
			if err != nil {
				return d.full(sizes, err)
			}
			m.base[b] = base
			if b == plan.Arena {
				continue
			}
			if err := d.stream.Fill(base, 0, n); err != nil {
				return err
			}
		}
		return d.wait()
	}()
	if err != nil {
		return nil, errors.Join(err, m.Free())
	}
	for b := range sizes {
		if b.Transient {
			m.base[b] = m.base[plan.Arena]
		}
	}
	m.sizes[plan.Arena] = separate[plan.Arena]
	return m, nil
}

// full says how much was wanted when memory ran out.
func (d *CUDA) full(sizes plan.Sizes, err error) error {
	if !errors.Is(err, cuda.OutOfMemory) {
		return err
	}
	_, total, infoErr := d.device.MemoryInfo()
	if infoErr != nil {
		return err
	}
	return fmt.Errorf("the plan wants %.2f GiB of the %.2f GiB of %s, less of it is free; a smaller batch, or accumulate, takes less: %w",
		float64(sizes.Bytes())/(1<<30), float64(total)/(1<<30), d.Name(), err)
}

func (m *cudaMemory) Sizes() plan.Sizes { return m.sizes }

// address of a byte of a buffer.
func (m *cudaMemory) address(b *plan.Buffer, bytes int) cuda.Address {
	return m.base[b] + cuda.Address(bytes)
}

func (m *cudaMemory) Read(b *plan.Buffer, offset int, dst []float32) error {
	if err := inside(b, m.sizes[b], offset, len(dst)); err != nil {
		return err
	}
	if err := m.device.wait(); err != nil {
		return err
	}
	return m.device.device.CopyOut(bytesOf(dst), m.address(b, 4*offset))
}

func (m *cudaMemory) Write(b *plan.Buffer, offset int, src []float32) error {
	if err := inside(b, m.sizes[b], offset, len(src)); err != nil {
		return err
	}
	return m.write(m.address(b, 4*offset), bytesOf(src))
}

func (m *cudaMemory) WriteBytes(b *plan.Buffer, offset int, src []byte) error {
	if err := insideBytes(b, m.sizes[b], offset, len(src)); err != nil {
		return err
	}
	return m.write(m.address(b, offset), src)
}

func (m *cudaMemory) write(to cuda.Address, src []byte) error {
	if err := m.device.wait(); err != nil {
		return err
	}
	return m.device.device.CopyIn(to, src)
}

func (m *cudaMemory) Fill(b *plan.Buffer, value byte) error {
	if m.sizes[b] == 0 {
		return nil
	}
	if err := m.device.stream.Fill(m.base[b], value, m.sizes[b]); err != nil {
		return err
	}
	return m.device.wait()
}

func (m *cudaMemory) Free() error {
	var err error
	for b, a := range m.base {
		if !b.Transient {
			err = errors.Join(err, released(m.device.device.Free(a)))
		}
	}
	m.base, m.sizes = nil, nil
	return err
}
