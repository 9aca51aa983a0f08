package train

import (
	"context"
	"errors"
	"io"

	"fluxion/engine/average"
	"fluxion/engine/plan"
	"fluxion/engine/rundir"
	"fluxion/nets/safetensors"
)

// snapshotShare is how many snapshots of its averages a run makes where nothing is said.
const snapshotShare = 32

// snapshotTypes are the names of their types.
func snapshotTypes() (names []string) {
	for _, t := range average.Types {
		names = append(names, t.Name)
	}
	return names
}

func (s Settings) snapshotDtype() safetensors.Dtype {
	for _, t := range average.Types {
		if t.Name == s.EMASnapshotType {
			return t.As
		}
	}
	return average.Types[0].As
}

// snapshotsSwitched is the settings with snapshots where averages by a power of time are
// new, and without where there are none any more, unless the user said something.
func (s Settings) snapshotsSwitched(before Settings, said func(key string) bool) Settings {
	now, then := len(s.EMA.powers()) > 0, len(before.EMA.powers()) > 0
	switch {
	case said("ema_snapshot_every") || now == then:
	case now:
		s.EMASnapshotEvery = max(1, s.Images/snapshotShare)
	default:
		s.EMASnapshotEvery = 0
	}
	return s
}

// Snapshots are those of its averages that a run will have made.
type Snapshots struct {
	Averages []string
	Files    int64
	Bytes    int64 // of all of them
	Type     string
}

// plannedSnapshots is what snapshots take of the disk.
func (r *run) plannedSnapshots(step *Step) (n Snapshots, err error) {
	s := r.settings
	if s.EMASnapshotEvery == 0 {
		return n, nil
	}
	batch := int64(s.Batch)
	last := (s.Images + batch - 1) / batch * batch // images seen at the end
	times := last / max(s.EMASnapshotEvery, batch)
	if last/s.EMASnapshotEvery == (last-batch)/s.EMASnapshotEvery { // the last step is no multiple
		times++
	}
	n.Type = s.EMASnapshotType
	each := 0 // bytes of one time
	for _, a := range s.EMA.powers() {
		size, err := average.FileSize(r.network, step.Trained.Params, average.Profile{Images: s.Images, Sigma: a.Sigma}, s.snapshotDtype())
		if err != nil {
			return n, err
		}
		n.Averages, n.Files, each = append(n.Averages, a.String()), n.Files+times, each+int(size)
	}
	n.Bytes = plan.Product(int(times), each)
	return n, nil
}

// snapshotHook keeps the averages by a power of time as they are now and then, so that
// others can be made of them after training. What was due at the checkpoint from which
// a run goes on, and is not there, is kept then.
func (r *run) snapshotHook() Hook {
	h := Hook{Name: "snapshots of averages", Every: r.settings.EMASnapshotEvery, Pauses: true}
	if h.Every == 0 {
		return h
	}
	h.After = func(_ context.Context, p Progress) error { return r.keepAverages(p.Images) }
	h.Done = func(images int64) bool {
		for _, a := range r.settings.EMA.powers() {
			if !r.folder.HasSnapshot(average.Profile{Images: images, Sigma: a.Sigma}) {
				return false
			}
		}
		return true
	}
	return h
}

// keepAverages writes a snapshot of each average by a power of time.
func (r *run) keepAverages(images int64) error {
	b := r.trainer.Buffers
	averages := append([]*plan.Buffer{b.EMA}, b.MoreEMAs...)
	for i, a := range r.settings.EMA.list() {
		if a.Sigma == 0 {
			continue
		}
		flat, err := r.collect(averages[i])
		if err != nil {
			return err
		}
		if badTensor(r.trainer.Trained.Params, flat) != "" {
			return nil // the checkpoint tells why the run cannot go on
		}
		wide := ""
		p := average.Profile{Images: images, Sigma: a.Sigma}
		err = r.folder.Snapshot(p, func(w io.Writer) (err error) {
			wide, err = average.Write(w, r.network, r.trainer.Trained.Params, flat, p, r.settings.snapshotDtype())
			return err
		})
		var gone *rundir.GoneError
		switch {
		case errors.As(err, &gone):
			return err
		case err != nil: // the disk may be full for a while
			r.warn("no snapshot of average %v after %d images, the run goes on: %v", a, images, err)
		case wide != "":
			r.warn("the snapshot of average %v after %d images is kept as fp32: tensor %s has numbers that fp16 does not hold", a, images, wide)
		}
	}
	return nil
}
