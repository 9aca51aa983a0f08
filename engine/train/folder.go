package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"

	"fluxion/data"
	"fluxion/data/stable"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
	"fluxion/nets"
	"fluxion/nets/pyjson"
)

// ChangedError refuses to go on with a run under other settings.
type ChangedError struct {
	Dir     string
	Changes []Change
}

func (e *ChangedError) Error() string {
	var parts []string
	for _, c := range e.Changes {
		if c.Breaks {
			parts = append(parts, fmt.Sprintf("%s was %v, now %v", c.Key, named(c.Old), named(c.New)))
		}
	}
	return fmt.Sprintf("%s holds a run with other settings or data: %s; give another --out, or --fresh to start it anew", e.Dir, strings.Join(parts, "; "))
}

// named is a value of a setting in a sentence.
func named(value any) any {
	if value == "" {
		return "none"
	}
	return value
}

// openFolder makes or opens the run folder and locks it, chooses the checkpoint
// that the run goes on from, and compares its settings with the new ones.
func (r *run) openFolder(o Options) (changes []Change, err error) {
	if r.folder, err = rundir.Open(o.Dir, o.Fresh, o.Disk); err != nil {
		return nil, err
	}
	if changes, err = r.choose(o); err != nil {
		return nil, errors.Join(err, r.folder.Close())
	}
	return changes, nil
}

// choose finds the checkpoint that the run goes on from, if there is one, and compares its
// settings with the new ones.
func (r *run) choose(o Options) (changes []Change, err error) {
	if o.Fresh {
		return nil, nil
	}
	if r.from, err = choose(o.Dir, o.From); err == nil && r.from != nil {
		changes, err = r.compare(*r.from)
	}
	return changes, err
}

// choose returns the checkpoint after so many images, for 0 the newest; nil if
// there is none.
func choose(dir string, images int64) (*model.Checkpoint, error) {
	all, err := model.Checkpoints(dir)
	if err != nil || len(all) == 0 && images == 0 {
		return nil, err
	}
	if images == 0 {
		return &all[len(all)-1], nil
	}
	var there []string
	for _, c := range all {
		if c.Images == images {
			return &c, nil
		}
		there = append(there, fmt.Sprint(c.Images))
	}
	if there == nil {
		return nil, &SettingError{"from", dir + " holds no checkpoint"}
	}
	return nil, &SettingError{"from", fmt.Sprintf("%s holds no checkpoint %d; want one of %s", dir, images, strings.Join(there, ", "))}
}

// compare lists what differs from the settings of the run that is here.
func (r *run) compare(c model.Checkpoint) ([]Change, error) {
	old, err := settingsOf(r.dir, c)
	if err != nil {
		return nil, err
	}
	changes := old.Changes(r.settings)
	_, inStages := r.objective.(staged)      // whose ends follow from the length and the batch
	buckets := data.BucketsOf(r.data) != nil // whose order is one of batches
	breaks := false
	for i, c := range changes {
		if inStages && (c.Key == "images" || c.Key == "batch") {
			changes[i].Breaks = true
		}
		if buckets && (c.Key == "batch" || c.Key == "accumulate") {
			changes[i].Breaks = true
		}
		breaks = breaks || changes[i].Breaks
	}
	if breaks {
		return nil, &ChangedError{r.dir, changes}
	}
	return changes, nil
}

// otherNetwork is a run whose checkpoint holds another network than the settings
// and the data ask for.
func (r *run) otherNetwork(stored nets.Network) error {
	var old, now map[string]any
	if err := errors.Join(json.Unmarshal(stored.JSON(), &old), json.Unmarshal(r.network.JSON(), &now)); err != nil {
		return err
	}
	e := &ChangedError{Dir: r.dir}
	for key, value := range now {
		if !reflect.DeepEqual(old[key], value) {
			e.Changes = append(e.Changes, Change{"the network's " + key, old[key], value, true})
		}
	}
	stable.Sort(e.Changes, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	return e
}

// SettingsError is a file of settings that cannot be read.
type SettingsError struct {
	Path string
	Err  error
}

func (e *SettingsError) Error() string {
	return fmt.Sprintf("%s is no file of settings: %v", e.Path, e.Err)
}

func (e *SettingsError) Unwrap() error { return e.Err }

// settingsOf returns the settings of the run that is here: its configuration, and
// where that is missing, what a checkpoint was made with, if it is not one of before.
func settingsOf(dir string, c model.Checkpoint) (s Settings, err error) {
	for _, path := range []string{filepath.Join(dir, rundir.ConfigFile), filepath.Join(c.Path, filepath.FromSlash(rundir.SettingsFile))} {
		if s, err = ReadSettings(path); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	return s, &rundir.Error{Path: dir, Problem: "holds checkpoints but no " + rundir.ConfigFile +
		", so that nobody knows whether they are of these settings; bring that file back, give another --out, or --fresh to start anew"}
}

// ReadSettings reads the configuration of a run.
func ReadSettings(path string) (Settings, error) {
	text, err := pyjson.ReadFile(path)
	if err != nil {
		return Settings{}, err
	}
	return parseSettings(path, text)
}

func parseSettings(path string, text []byte) (Settings, error) {
	var s Settings
	for _, x := range s.List() {
		if x.Before == "" {
			continue
		}
		if err := x.Assign(x.Before); err != nil {
			return s, fmt.Errorf("setting %s, before there was it: %w", x.Key, err)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, &SettingsError{path, err}
	}
	if s.Preset == "" || s.Images == 0 {
		return s, &SettingsError{path, errors.New("key preset or images is missing")}
	}
	return s, nil
}

// text is the settings as a run folder keeps them.
func (s Settings) text() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}
