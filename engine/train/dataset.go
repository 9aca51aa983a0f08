package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/nets/pyjson"
)

// dataFile says in a checkpoint's folder training what the data were.
const dataFile = model.DataFile

// dataset is what a run's data were: it is compared when the run is resumed.
type dataset struct {
	data.Fingerprint
	Height   int    `json:"height"`
	Width    int    `json:"width"`
	Channels int    `json:"channels"`
	Values   string `json:"values,omitempty"` // "" are bytes

	Shapes [][2]int `json:"shapes,omitempty"` // heights and widths, where images have several

	Autoencoder string `json:"autoencoder,omitempty"` // digest of that whose latents they are
	Tile        int    `json:"tile,omitempty"`        // of it: see data.Latents
}

func describe(d data.Dataset) dataset {
	s := dataset{Fingerprint: d.Fingerprint()}
	s.Height, s.Width, s.Channels = d.Shape()
	if b := data.BucketsOf(d); b != nil {
		for _, of := range b.Sizes {
			s.Shapes = append(s.Shapes, [2]int{of.Height, of.Width})
		}
	}
	if !data.Pictures(d) {
		s.Values = model.FloatValues
	}
	if a, ok := data.AutoencoderOf(d); ok {
		s.Autoencoder, s.Tile = a.Digest, a.Tile
	}
	return s
}

// json encodes the description for dataFile.
func (d dataset) json() []byte {
	text, _ := json.MarshalIndent(d, "", "  ") // plain values always encode
	return append(text, '\n')
}

// readDataset reads what the data of a checkpoint were. Older checkpoints know the
// names of classes at most; whole is false.
func readDataset(checkpoint string) (d dataset, whole bool, err error) {
	for _, part := range []struct {
		name string
		into any
	}{{dataFile, &d}, {model.ClassesFile, &d.Classes}} {
		path := filepath.Join(checkpoint, model.TrainingDir, part.name)
		text, err := pyjson.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return d, false, err
		}
		if err := json.Unmarshal(text, part.into); err != nil {
			return d, false, fmt.Errorf("%s: %w", path, err)
		}
		return d, part.name == dataFile, nil
	}
	return d, false, nil
}

// compareData compares the data with those of the checkpoint that the run goes on
// from. Classes and shape decide what labels and the network mean: the run cannot
// go on with others. More or other pictures of the same classes it can go on with,
// if they are not another data set: settings say whether its name has changed.
// The note is what a user should know.
func (r *run) compareData(checkpoint string, settings []Change) (all []Change, note string, err error) {
	old, whole, err := readDataset(checkpoint)
	if err != nil {
		return nil, "", r.unusable(err)
	}
	other := slices.ContainsFunc(settings, func(c Change) bool {
		return c.Key == "data" && !slices.Equal(setNames(c.Old), setNames(c.New))
	})
	now := r.dataset
	add := func(breaks bool, key, old, now string) {
		if old != now {
			all = append(all, Change{key, old, now, breaks})
		}
	}
	if (whole || old.Classes != nil) && !slices.Equal(old.Classes, now.Classes) {
		all = append(all, Change{"list of classes", listed(old.Classes, now.Classes), listed(now.Classes, old.Classes), true})
	}
	if whole {
		add(true, "shape of images", old.shape(), now.shape())
		add(true, "values of images", cmp.Or(old.Values, data.Bytes.String()), cmp.Or(now.Values, data.Bytes.String()))
		add(true, "autoencoder of latents", cmp.Or(old.Autoencoder, "none"), cmp.Or(now.Autoencoder, "none"))
		add(other, "number of pictures", old.count(), now.count())
		if len(all) == 0 && (old.Digest != now.Digest || old.Sums != "" && now.Sums != "" && old.Sums != now.Sums) {
			all = append(all, Change{"names or sizes of pictures", "as stored", "others", other})
		}
	}
	if other && (len(all) > 0 || !whole) {
		i := slices.IndexFunc(settings, func(c Change) bool { return c.Key == "data" })
		all = append(all, Change{"data", settings[i].Old, settings[i].New, true})
	}
	if slices.ContainsFunc(all, func(c Change) bool { return c.Breaks }) {
		return all, "", &ChangedError{r.dir, all}
	}
	switch {
	case !whole:
		note = "the run has not written down what its data were: they are taken as they are now"
	case len(all) > 0:
		note = "the data have changed since the checkpoint: the order of the images is another from here on"
	}
	return all, note, nil
}

// setNames are the names of the sets of a spec, two of pairs, wherever they lie.
func setNames(spec any) []string {
	names := data.Parts(fmt.Sprint(spec))
	for i, path := range names {
		names[i] = filepath.Base(path)
	}
	return names
}

func (d dataset) shape() string { return fmt.Sprintf("%d×%d×%d", d.Height, d.Width, d.Channels) }

// count is the number of images, and of those of each class if there are few.
func (d dataset) count() string {
	if len(d.Classes) == 0 || len(d.Classes) > mostListed {
		return fmt.Sprint(d.Images)
	}
	var parts []string
	for i, c := range d.Classes {
		if i < len(d.Counts) {
			parts = append(parts, fmt.Sprintf("%s %d", c, d.Counts[i]))
		}
	}
	return fmt.Sprintf("%d (%s)", d.Images, strings.Join(parts, ", "))
}

// mostListed is how many names a message lists.
const mostListed = 20

// listed names classes; of many only those that others lack.
func listed(classes, others []string) string {
	switch {
	case len(classes) == 0:
		return "none"
	case len(classes) <= mostListed:
		return strings.Join(classes, ", ")
	}
	text, apart := fmt.Sprint(len(classes)), 0
	for _, c := range classes {
		if slices.Contains(others, c) {
			continue
		}
		switch apart++; {
		case apart == 1:
			text += ", with " + c
		case apart <= mostListed:
			text += ", " + c
		case apart == mostListed+1:
			text += ", …"
		}
	}
	return text
}
