package train

import (
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/nets"
)

// pixelBytes are those of a micro-batch's images and their inputs, on the host.
func (s *Step) pixelBytes() int { return int(s.images.bytes() + s.inputs.bytes()) }

// Needs is the memory of the host that a step takes on a device, plan included.
func (s *Step) Needs(d device.Device, sizes plan.Sizes) []device.Need {
	bytes := int64(s.pixelBytes())
	for _, other := range s.shapes {
		bytes += int64(other.pixelBytes())
	}
	return []device.Need{device.PlanNeed(d, sizes), {What: "the images of a step", Bytes: bytes}}
}

// needs is the memory of the host that the run will take at most, known before any of it is.
func (r *run) needs(d device.Device, sizes plan.Sizes, step *Step, sampling *generate.Shapes) []device.Need {
	list := step.Needs(d, sizes)
	for _, h := range r.all {
		list = append(list, device.HostNeed(d, "what the hook "+h.Name+" takes", h.Bytes))
	}
	height, width, channels := r.data.Shape()
	if step.Resident == 0 {
		list = append(list, device.Need{What: "images read ahead", Bytes: plan.Product(1+r.ahead(), step.pixelBytes())})
	}
	if n := r.settings.Batch; r.pairing != nil {
		list = append(list, device.Need{What: "the pairing of a step", Bytes: r.pairing.hostBytes() + plan.Product(8, n, n)})
	} else if r.coupling != nil {
		bytes := plan.Product(4, n, height*width*channels)
		if r.settings.beginsWithInputs() { // which are kept as they came, and as the network sees them
			bytes = plan.Add(3*bytes, plan.Product(8, n, n))
		}
		list = append(list, device.Need{What: "the pairing of a step", Bytes: bytes})
	}
	flat := 4 * nets.FlatSize(step.Trained.Params)
	if bytes := jointBytes(step); bytes > 0 {
		list = append(list, device.Need{What: "sums of the other processes", Bytes: bytes})
	}
	first := r.group.Rank == 0
	if first {
		list = append(list, device.Need{What: "the copy that becomes a checkpoint", Bytes: plan.Product(len(step.Buffers.stored()), flat)})
	} else {
		list = append(list, device.Need{What: "what the first process is given for a checkpoint", Bytes: int64(flat)})
	}
	list = append(list, device.Need{What: "decoded images that are kept", Bytes: data.CacheBytes(r.data)})
	if _, ok := r.objective.(staged); ok && first {
		list = append(list, device.Need{What: "the model of a stage that the disk does not take", Bytes: plan.Product(len(step.Buffers.stored()), flat)})
	}
	if r.settings.EMASnapshotEvery > 0 {
		list = append(list, device.Need{What: "the copy of an average that becomes a snapshot", Bytes: int64(flat)})
	}
	if sampling != nil { // what was sampled, side by side, and as a file
		list = append(list, device.Need{What: "a grid", Bytes: plan.Product(3, r.gridCount(), height*width*channels, step.images.stored.Size())})
		if h, w, c := r.shown(); r.decoding != nil {
			list = append(list, device.Need{What: "the pictures of a grid", Bytes: plan.Product(2, r.gridCount(), h*w*c, 4)})
		}
	}
	return list
}
