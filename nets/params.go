package nets

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"fluxion/kernels/philox"

	"gorgonia.org/tensor"
)

// Param is one weight tensor. All of them live in one flat buffer, each in the
// layout that the graph wants.
type Param struct {
	Name   string       // as in diffusers
	Stored []int        // shape in a file: conv OIHW, linear (out,in)
	Shape  tensor.Shape // shape in the graph: conv HWIO, linear (in,out), others the same
	Init   Init
	Offset int // floats from the start of the flat buffer, a multiple of 16

	matrix bool // a convolution or linear map, whose axes a file has in reverse
}

// Size is the number of floats.
func (p Param) Size() int { return p.Shape.TotalSize() }

// Init is how a parameter begins: a constant, plus a uniform number between
// −Uniform and Uniform, plus a normal one of standard deviation Normal.
type Init struct{ Constant, Uniform, Normal float32 }

// align is a cache line of floats: every parameter starts on one.
const align = 16

// Params returns every parameter, sorted by name. The configuration must be
// valid.
func (c Config) Params() []Param {
	l := layout{config: c, time: c.timeDim()}
	l.network()
	slices.SortFunc(l.params, func(a, b Param) int { return cmp.Compare(a.Name, b.Name) })
	offset := 0
	for i := range l.params {
		l.params[i].Offset = offset
		offset += (l.params[i].Size() + align - 1) / align * align
	}
	return l.params
}

// FlatSize is the length of the flat buffer.
func FlatSize(params []Param) int {
	if len(params) == 0 {
		return 0
	}
	last := params[len(params)-1]
	return last.Offset + (last.Size()+align-1)/align*align
}

// Count is the number of weights, without the gaps of the flat buffer.
func Count(params []Param) int {
	n := 0
	for _, p := range params {
		n += p.Size()
	}
	return n
}

// layout collects the parameters in the order of the forward pass.
type layout struct {
	config Config
	time   int // width of the time embedding
	params []Param
}

func (l *layout) network() {
	c := l.config
	first, last := c.BlockOutChannels[0], c.BlockOutChannels[len(c.BlockOutChannels)-1]
	l.conv("conv_in", c.InChannels, first, 3)
	if c.TimeEmbeddingType == "learned" {
		// It stands where sines and cosines do otherwise, so it begins as large.
		l.add("time_proj.weight", Init{Normal: 1}, c.NumTrainTimesteps, first)
	}
	l.mlp("time_embedding", first)
	if c.classTable() {
		// As PyTorch's embeddings begin: classes that begin alike take long to part.
		l.add("class_embedding.weight", Init{Normal: 1}, c.NumClassEmbeds, l.time)
	}
	if c.ClassEmbedType == "timestep" {
		l.mlp("class_embedding", first)
	}
	for _, d := range c.downLevels() {
		l.level(d, "downsamplers")
	}
	if c.MidBlockType != "" {
		l.resnet("mid_block.resnets.0", resnet{last, last})
		if c.AddAttention {
			l.attention("mid_block.attentions.0", last, c.midAttentionGroups() > 0)
		}
		l.resnet("mid_block.resnets.1", resnet{last, last})
	}
	for _, u := range c.upLevels() {
		l.level(u, "upsamplers")
	}
	l.norm("conv_norm_out", first)
	l.zero("conv_out", c.OutChannels, first, 3, 3)
}

func (l *layout) level(v level, resamplers string) {
	for j, r := range v.resnets {
		l.resnet(fmt.Sprintf("%s.resnets.%d", v.name, j), r)
		if v.attention {
			l.attention(fmt.Sprintf("%s.attentions.%d", v.name, j), v.channels, true)
		}
	}
	switch name := v.name + "." + resamplers + ".0"; v.resample {
	case "conv":
		l.conv(name+".conv", v.channels, v.channels, 3)
	case "resnet":
		l.resnet(name, resnet{v.channels, v.channels})
	}
}

func (l *layout) resnet(name string, r resnet) {
	times := 1
	if l.config.ResnetTimeScaleShift == "scale_shift" {
		times = 2
	}
	l.norm(name+".norm1", r.in)
	l.conv(name+".conv1", r.in, r.out, 3)
	l.linear(name+".time_emb_proj", l.time, times*r.out)
	l.norm(name+".norm2", r.out)
	l.zero(name+".conv2", r.out, r.out, 3, 3)
	if r.in != r.out {
		l.conv(name+".conv_shortcut", r.in, r.out, 1)
	}
}

func (l *layout) attention(name string, channels int, norm bool) {
	_, inner := l.config.heads(channels)
	if norm {
		l.norm(name+".group_norm", channels)
	}
	for _, to := range []string{".to_q", ".to_k", ".to_v"} {
		l.linear(name+to, channels, inner)
	}
	l.zero(name+".to_out.0", channels, inner)
}

func (l *layout) mlp(name string, in int) {
	l.linear(name+".linear_1", in, l.time)
	l.linear(name+".linear_2", l.time, l.time)
}

// conv and linear begin as in DDPM: uniform with variance 2/(fan in + fan out)
// (Glorot and Bengio 2010), biases zero.
func (l *layout) conv(name string, in, out, side int) {
	l.matrix(name+".weight", glorot(in*side*side, out*side*side), out, in, side, side)
	l.add(name+".bias", Init{}, out)
}

func (l *layout) linear(name string, in, out int) {
	l.matrix(name+".weight", glorot(in, out), out, in)
	l.add(name+".bias", Init{}, out)
}

func glorot(in, out int) Init { return Init{Uniform: float32(math.Sqrt(6 / float64(in+out)))} }

// zero is a convolution or linear map that ends a residual branch or the
// network. It begins at zero, as in DDPM, so that every branch is the identity
// at first and the first prediction is zero: deep networks then train at once.
func (l *layout) zero(name string, stored ...int) {
	l.matrix(name+".weight", Init{}, stored...)
	l.add(name+".bias", Init{}, stored[0])
}

func (l *layout) norm(name string, channels int) {
	l.add(name+".weight", Init{Constant: 1}, channels)
	l.add(name+".bias", Init{}, channels)
}

// matrix adds the weight of a convolution or linear map: a file has its output
// channels first, the graph has them last.
func (l *layout) matrix(name string, init Init, stored ...int) {
	shape := tensor.Shape{stored[1], stored[0]}
	if len(stored) == 4 {
		shape = tensor.Shape{stored[2], stored[3], stored[1], stored[0]}
	}
	l.params = append(l.params, Param{Name: name, Stored: stored, Shape: shape, Init: init, matrix: true})
}

// add adds a parameter that looks the same in a file and in the graph.
func (l *layout) add(name string, init Init, shape ...int) {
	l.params = append(l.params, Param{Name: name, Stored: shape, Shape: shape, Init: init})
}

// Initialise fills flat buffers, all with the same, the first weights of a seed. Each
// parameter's numbers are addressed by its name, so a network that shares a
// layer with another begins with the same layer.
func Initialise(params []Param, seed uint64, flats ...[]float32) {
	// Two threads do not meet in a huge page: the system would clear it for both.
	const part = 1 << 19
	size := FlatSize(params)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (size+part-1)/part) {
		workers.Go(func() {
			for from := int(next.Add(part)) - part; from < size; from = int(next.Add(part)) - part {
				initialise(params, seed, flats, from, min(from+part, size))
			}
		})
	}
	workers.Wait()
}

// initialise fills part of the flat buffers, gaps with zeros, piece by piece: each is
// in the cache when it is copied to the next buffer.
func initialise(params []Param, seed uint64, flats [][]float32, from, to int) {
	const piece = 1 << 14
	at, _ := slices.BinarySearchFunc(params, from, func(p Param, from int) int { return cmp.Compare(p.gap(), from+1) })
	for from < to {
		p := params[at]
		values := min(p.Offset+p.Size(), to, from+piece) - from
		w := flats[0][from:min(p.gap(), to, from+piece)]
		if values > 0 {
			p.fill(w[:values], from-p.Offset, seed)
		}
		clear(w[max(values, 0):])
		for _, flat := range flats[1:] {
			copy(flat[from:], w)
		}
		if from += len(w); from == p.gap() {
			at++
		}
	}
}

// gap is where the gap behind the parameter ends in the flat buffer.
func (p Param) gap() int { return p.Offset + (p.Size()+align-1)/align*align }

// fill makes values first, first+1, … of the parameter.
func (p Param) fill(w []float32, first int, seed uint64) {
	if rest := philox.MaxValues - first%philox.MaxValues; len(w) > rest { // of this request
		p.fill(w[rest:], first+rest, seed)
		w = w[:rest]
	}
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	step, first := uint32(first/philox.MaxValues), first%philox.MaxValues
	switch i := p.Init; {
	case i.Uniform != 0:
		philox.UniformAt(w, first, i.Constant, i.Uniform, seed, philox.Init, h.Sum64(), step)
	case i.Normal != 0:
		philox.NormalAt(w, first, seed, philox.Init, h.Sum64(), step)
		for k := range w {
			w[k] = i.Constant + float32(i.Normal*w[k])
		}
	default:
		for k := range w {
			w[k] = i.Constant
		}
	}
}

// axes reads the parameter as (out, in, pixels) in a file, which is the reverse,
// (pixels, in, out), in the graph.
func (p Param) axes() (out, in, pixels int) {
	if !p.matrix {
		return 1, p.Size(), 1
	}
	return p.Stored[0], p.Stored[1], p.Size() / (p.Stored[0] * p.Stored[1])
}

// ToStored copies a parameter out of the flat buffer into the layout of a file.
func ToStored(p Param, flat, dst []float32) {
	out, in, pixels := p.axes()
	w := flat[p.Offset : p.Offset+p.Size()]
	for o := range out {
		for i := range in {
			for x := range pixels {
				dst[(o*in+i)*pixels+x] = w[(x*in+i)*out+o]
			}
		}
	}
}

// FromStored copies a parameter from the layout of a file into the flat buffer.
func FromStored(p Param, src, flat []float32) {
	out, in, pixels := p.axes()
	w := flat[p.Offset : p.Offset+p.Size()]
	for o := range out {
		for i := range in {
			for x := range pixels {
				w[(x*in+i)*out+o] = src[(o*in+i)*pixels+x]
			}
		}
	}
}
