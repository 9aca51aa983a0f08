package tensorboard

import (
	"bytes"
	"image"
	"image/color"
	_ "image/png" // grids are
	"maps"
	"slices"
	"time"

	"fluxion/engine/record"
)

// The messages below are those of TensorFlow's event.proto and summary.proto, and of the
// plugin for hyper-parameters; numbers are their fields.

// event is one at a time, after so many images.
func event(at time.Time, images int64) message {
	return message(nil).double(1, float64(at.UnixNano())/1e9).int(2, images)
}

// version begins a file.
func version(at time.Time) message {
	return message(nil).double(1, float64(at.UnixNano())/1e9).string(3, "brain.Event:2")
}

// restart says that the run goes on after so many images: what was told of later ones
// is void. Readers drop what begins at its step.
func restart(at time.Time, images int64) message {
	const start = 1
	return event(at, images+1).bytes(7, message(nil).int(1, start))
}

// summary adds values to an event.
func (m message) summary(values ...message) message {
	var s message
	for _, v := range values {
		s = s.bytes(1, v)
	}
	return m.bytes(5, s)
}

func scalar(tag string, v float64) message { return message(nil).string(1, tag).float(2, v) }

// picture is a file of PNG.
func picture(tag string, file []byte) (message, error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	space := int64(3) // RGB
	if c.ColorModel == color.GrayModel {
		space = 1
	}
	return message(nil).string(1, tag).bytes(4, message(nil).int(1, int64(c.Height)).int(2, int64(c.Width)).int(3, space).bytes(4, file)), nil
}

func histogram(d record.Distribution) message {
	var limits, counts []float64
	c := &d.Counts
	for i, bin := range c.Bins() {
		if i == 0 && bin.Low < bin.High { // where the first bin begins, which readers else do not know
			limits, counts = append(limits, bin.Low), append(counts, 0)
		}
		limits, counts = append(limits, bin.High), append(counts, float64(bin.N))
	}
	h := message(nil).double(1, c.Min).double(2, c.Max).double(3, float64(c.N)).double(4, c.Sum).double(5, c.SumSquares).doubles(6, limits).doubles(7, counts)
	return message(nil).string(1, d.Name).bytes(5, h)
}

// Status of a session, as the plugin for hyper-parameters has it.
const (
	succeeded = 1
	failed    = 2
)

// hyper is a summary of that plugin: it lies in the value's metadata, with a tensor of
// one 0 beside it, without which readers pass it over.
func hyper(tag string, content message) message {
	const float32Type = 1
	plugin := message(nil).string(1, "hparams").bytes(2, content)
	zero := message(nil).int(1, float32Type).bytes(2, nil).bytes(5, []byte{0, 0, 0, 0})
	return message(nil).string(1, tag).bytes(9, message(nil).bytes(1, plugin)).bytes(8, zero)
}

// beginning is the summary of a session that begins with such parameters: numbers, texts
// or truth values.
func beginning(at time.Time, parameters map[string]any) message {
	var start message
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		var v message
		switch x := parameters[name].(type) {
		case float64:
			v = v.double(2, x)
		case bool:
			v = v.int(4, map[bool]int64{true: 1}[x])
		case string:
			v = v.string(3, x)
		default:
			continue
		}
		start = start.bytes(1, message(nil).string(1, name).bytes(2, v))
	}
	start = start.double(5, float64(at.UnixNano())/1e9)
	return hyper("_hparams_/session_start_info", message(nil).bytes(3, start))
}

// ending is that of one that ended.
func ending(at time.Time, status int64) message {
	return hyper("_hparams_/session_end_info", message(nil).bytes(4, message(nil).int(1, status).double(2, float64(at.UnixNano())/1e9)))
}
