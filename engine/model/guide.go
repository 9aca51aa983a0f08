package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"fluxion/engine/scheduler"
	"fluxion/nets/pyjson"
)

// baked is what GuidanceFile holds.
type baked struct {
	Guidance float64 `json:"guidance"`
}

// BakedGuidance is GuidanceFile of a model that took a guidance over.
func BakedGuidance(scale float64) []byte {
	text, _ := json.Marshal(baked{scale}) // a number always encodes
	return append(text, '\n')
}

// readBaked finds what guidance a model took over.
func (m *Model) readBaked(path string, text []byte) error {
	var b baked
	err := pyjson.In(path, pyjson.Decode(text, &b))
	m.Baked = b.Guidance
	return err
}

// Guide reads a second model, away from which the first may be guided (autoguidance). It
// must speak of the same images in the same terms. Either may condition on the last
// estimate, or not.
func (m *Model) Guide(dir, weights string, ignore ...string) (*Model, error) {
	second, err := Read(dir, weights, ignore...)
	if err != nil {
		return nil, err
	}
	a, b := m.Network.Spec(), second.Network.Spec()
	if a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels || a.Classes != b.Classes || a.Condition != b.Condition {
		return nil, fmt.Errorf("its images of %d×%d pixels, %d channels and %d classes are not the model's, of %d×%d, %d and %d; want a weaker model of the same data",
			b.Width, b.Height, b.Channels, b.Classes, a.Width, a.Height, a.Channels, a.Classes)
	}
	if l, o := m.Labels, second.Labels; l != nil && (a.Embedding != b.Embedding || !slices.Equal(l.From, o.From) || !slices.Equal(l.To, o.To)) {
		return nil, fmt.Errorf("it is told %s, and the model %s, in vectors of %d and %d; want a weaker model that is told the same", o, l, b.Embedding, a.Embedding)
	}
	if b.Concat != 0 && a.Concat != b.Concat {
		return nil, fmt.Errorf("its network is given a second image of %d channels, and the model's of %d; want a weaker model of the same data, or one of the images alone", b.Concat, a.Concat)
	}
	own, err := scheduler.Of(m.Process)
	if err != nil {
		return nil, fmt.Errorf("beside %s: %w", m.Path, err)
	}
	other, err := scheduler.Of(second.Process)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(own.Bytes(), other.Bytes()) {
		return nil, fmt.Errorf("it was trained on %v, the model on %v; want a model trained on the same schedule, its modifiers included, and output", second.Process, m.Process)
	}
	return second, nil
}
