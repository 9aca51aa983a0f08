package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/data"
	"fluxion/data/lookup"
	"fluxion/engine/evaluate"
	"fluxion/engine/likelihood"
	"fluxion/engine/metric"
	"fluxion/engine/model"
	"fluxion/engine/record"
)

// splitMetrics tells metrics of likelihood from those of features.
func splitMetrics(names []string) (likelihoods, features []string, err error) {
	var all []string
	for _, m := range likelihood.Metrics {
		all = append(all, m.Name)
	}
	of := len(all)
	for _, m := range evaluate.Metrics {
		all = append(all, m.Name)
	}
	for _, name := range names {
		i, err := lookup.Find("metric", strings.ToLower(strings.TrimSpace(name)), all)
		switch {
		case err != nil:
			return nil, nil, err
		case i >= of:
			features = append(features, all[i])
		case !slices.Contains(likelihoods, all[i]):
			likelihoods = append(likelihoods, all[i])
		}
	}
	return likelihoods, features, nil
}

// likelihoodRun judges a model by how probable data are for it.
type likelihoodRun struct {
	*evalOptions
	face    console.Face
	model   *model.Model
	path    string // of the model
	of      string // the data
	set     data.Dataset
	wanted  int // images of it
	n       int // those of them that could be read, once a metric has tried
	judged  int // of those, by the metric that is computed, in shapes that are done
	classOf func(class int) (int, error)
	options likelihood.Options
	notes   []string
	how     map[string]likelihood.Convention // by metric
}

func (o *evalOptions) likelihood(ctx context.Context, face console.Face, args []string, metrics []string) (err error) {
	l := &likelihoodRun{evalOptions: o, face: face, how: map[string]likelihood.Convention{}}
	if err := l.check(args, metrics); err != nil {
		return err
	}
	l.path, l.of = args[0], args[1]
	if err := l.open(); err != nil {
		return err
	}
	defer l.set.Close()
	dev, err := machine.Open(o.device, o.threads, o.blockings, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	l.options.Device = dev
	begin := time.Now()
	var values []evaluate.Value
	for _, m := range metrics {
		judge := l.density
		switch m {
		case "elbo":
			judge = l.bound
		case "vlb":
			judge = l.chain
		}
		of, err := judge(ctx)
		if err != nil {
			return l.explained(ctx, err)
		}
		values = append(values, of...)
	}
	return l.show(values, time.Since(begin))
}

// check says what does not go together.
func (l *likelihoodRun) check(args, metrics []string) error {
	name := metrics[0]
	if len(args) != 2 {
		return fault.Usagef("%s judges a model by data: want MODEL and DATA", name)
	}
	for _, path := range args {
		if moments.Is(path) {
			return fault.Usagef("%s is a file of statistics; %s wants a model and images", path, name)
		}
	}
	if !model.Is(args[0]) {
		return fault.Usagef("%s is no model; %s wants the folder of one, and data", args[0], name)
	}
	others := []string{"count", "network", "weights", "convention", "features_precision", "save", "nearest", "kid_subsets", "kid_size", "neighbours", "closed_balls", "splits"}
	for _, key := range l.ofSampling {
		if key != "model_weights" && key != "ignore_key" && key != "precision" {
			others = append(others, key)
		}
	}
	if given := l.sources.Meant(others...); len(given) > 0 {
		return fault.Usagef("%s: of other metrics than %s, which samples nothing and takes --real-count images of DATA", strings.Join(given, ", "), name)
	}
	for _, m := range likelihood.Metrics {
		of := slices.DeleteFunc(slices.Clone(l.ofLikelihood), func(key string) bool { return !strings.HasPrefix(key, m.Name+"_") })
		if given := l.sources.Meant(of...); len(given) > 0 && !slices.Contains(metrics, m.Name) {
			return fault.Usagef("%s: of %s, which is not among the metrics", strings.Join(given, ", "), m.Name)
		}
	}
	if given := l.sources.Meant(l.request.Idle()...); len(given) > 0 {
		return fault.Usagef("%s: not of this solver; rk45 takes tolerances, the others steps", strings.Join(given, ", "))
	}
	if l.sources.Has("precision") && l.precision != "auto" && l.precision != "fp32" {
		return fault.Usagef("--precision %s: %s is computed in fp32", l.precision, name)
	}
	return nil
}

// progress shows how far a metric is.
func (l *likelihoodRun) progress(name string) likelihood.Progress {
	l.face.Begin()
	begin, shown := time.Now(), time.Now()
	return func(images float64, rows int64) error {
		if time.Since(shown) < samplePeriod || images <= 0 {
			return nil
		}
		shown = time.Now()
		images += float64(l.judged)
		rate := record.PerSecond(images, time.Since(begin))
		left := time.Duration((float64(l.n) - images) / rate * float64(time.Second))
		l.face.Status(map[string]any{"metric": name, "images": images, "of": l.n, "images_per_second": rate, "network_calls": rows, "left_seconds": left.Seconds()},
			fmt.Sprintf("%s: %.1f/%s images  %3.0f%%  %.2f img/s  %s left", name, images, console.Thousands(int64(l.n)), 100*images/float64(l.n), rate, left.Round(time.Second)), false)
		return nil
	}
}

// density is bits along the flow.
func (l *likelihoodRun) density(ctx context.Context) ([]evaluate.Value, error) {
	progress := l.progress("bpd")
	var whole *likelihood.Density
	flows, calls := 0, 0.0
	bits, err := each(l, func(o likelihood.Options, images likelihood.Images) ([]float64, error) {
		d, err := likelihood.Densities(ctx, o, images, progress)
		if err != nil {
			return nil, err
		}
		whole, flows, calls = d, flows+len(d.Bits), calls+d.Calls*float64(len(d.Bits)) // as many flows of each image
		return d.Bits, nil
	})
	l.face.End()
	if err != nil {
		return nil, err
	}
	if err := l.counted(len(bits)); err != nil {
		return nil, err
	}
	if data.BucketsOf(l.set) != nil {
		whole.Calls = calls / float64(flows)
	}
	l.how["bpd"] = l.options.FlowConvention(whole, !l.model.Floats)
	v := evaluate.Value{Name: "bpd", How: l.how["bpd"].String()}
	v.Value, v.Error = likelihood.MeanError(bits)
	return []evaluate.Value{v}, nil
}

// bound is VDM's bound.
func (l *likelihoodRun) bound(ctx context.Context) ([]evaluate.Value, error) {
	return l.terms(ctx, "elbo", [3]string{"reconstruction", "prior", "diffusion"}, likelihood.Bounds, likelihood.Options.BoundConvention)
}

// chain is the bound of the process's own steps.
func (l *likelihoodRun) chain(ctx context.Context) ([]evaluate.Value, error) {
	if err := l.options.CheckChain(); err != nil {
		return nil, fault.Usagef("vlb: %w (--metrics elbo leaves such steps out)", err)
	}
	last := l.options.Process.Chain().Steps
	return l.terms(ctx, "vlb", [3]string{"0", fmt.Sprint(last), fmt.Sprintf("1..%d", last-1)}, likelihood.Chains, likelihood.Options.ChainConvention)
}

// terms are the sum of a bound and its three terms, under their names.
func (l *likelihoodRun) terms(ctx context.Context, name string, terms [3]string,
	judge func(context.Context, likelihood.Options, likelihood.Images, likelihood.Progress) ([]likelihood.Terms, error),
	how func(o likelihood.Options, bytes bool) likelihood.Convention,
) ([]evaluate.Value, error) {
	progress := l.progress(name)
	all, err := each(l, func(o likelihood.Options, images likelihood.Images) ([]likelihood.Terms, error) {
		return judge(ctx, o, images, progress)
	})
	l.face.End()
	if err != nil {
		return nil, err
	}
	if err := l.counted(len(all)); err != nil {
		return nil, err
	}
	l.how[name] = how(l.options, !l.model.Floats)
	values := []evaluate.Value{{Name: name, How: l.how[name].String()}}
	for _, term := range terms {
		values = append(values, evaluate.Value{Name: name + "-" + term})
	}
	for i, of := range []func(t likelihood.Terms) float64{
		likelihood.Terms.Sum,
		func(t likelihood.Terms) float64 { return t.Reconstruction },
		func(t likelihood.Terms) float64 { return t.Prior },
		func(t likelihood.Terms) float64 { return t.Diffusion },
	} {
		bits := make([]float64, len(all))
		for k, t := range all {
			bits[k] = of(t)
		}
		values[i].Value, values[i].Error = likelihood.MeanError(bits)
	}
	return values, nil
}

// counted is how many images there were after all.
func (l *likelihoodRun) counted(n int) error {
	if l.n = n; n < 2 {
		return fault.Usage(&metric.CountError{Metric: l.names[0], Have: n, Min: 2})
	}
	return nil
}

// explained is an error in the words of the command line.
func (l *likelihoodRun) explained(ctx context.Context, err error) error {
	if stopped := context.Cause(ctx); stopped != nil {
		return stopped
	}
	var of *likelihood.SolverError
	if errors.As(err, &of) {
		return fault.Usage(err)
	}
	return err
}

func (l *likelihoodRun) note(text string) {
	if !slices.Contains(l.notes, text) {
		l.notes = append(l.notes, text)
	}
}

// shownLikelihood is the result in JSON.
type shownLikelihood struct {
	Event   string                           `json:"event"`
	Metrics map[string]float64               `json:"metrics"` // bits per dimension
	Errors  map[string]float64               `json:"errors"`  // standard errors over images
	N       []int64                          `json:"n"`       // images of each set: none of the model
	Sets    []string                         `json:"sets"`
	Sizes   []string                         `json:"sizes"`
	How     map[string]string                `json:"how"`
	Of      map[string]likelihood.Convention `json:"conventions"`
	Unit    string                           `json:"unit"`
	Levels  string                           `json:"levels"` // what bytes are for the model
	Seed    uint64                           `json:"seed"`
	Notes   []string                         `json:"notes"`
	Seconds float64                          `json:"seconds"`
}

func (l *likelihoodRun) show(values []evaluate.Value, took time.Duration) error {
	height, width, channels := l.set.Shape()
	size := several(data.BucketsOf(l.set)) + sizeText([3]int{height, width, channels})
	r := shownLikelihood{
		Event: "done", Metrics: map[string]float64{}, Errors: map[string]float64{}, N: []int64{0, int64(l.n)}, Sets: []string{l.path, l.of}, Sizes: []string{size, size},
		How: map[string]string{}, Of: l.how, Unit: "bits per dimension", Levels: "none", Seed: l.seed, Notes: orEmpty(l.notes), Seconds: took.Seconds(),
	}
	if !l.model.Floats {
		r.Levels = "x = k/127.5 - 1"
	}
	for _, v := range values {
		r.Metrics[v.Name], r.Errors[v.Name] = v.Value, v.Error
		if v.How != "" {
			r.How[v.Name] = v.How
		}
	}
	return l.face.Result(r, func(out io.Writer) error {
		for _, v := range values {
			text := fmt.Sprintf("%-20s %.6g ± %.2g", v.Name, v.Value, v.Error)
			if v.How != "" {
				text += " (" + v.How + ")"
			}
			if _, err := fmt.Fprintln(out, text); err != nil {
				return err
			}
		}
		for _, n := range l.notes {
			if _, err := fmt.Fprintln(out, noteLine(n)); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "bits per dimension of %s images of %s, %s, by %s; ± is the standard error over images; seed %d, fp32; %.1f s\n",
			console.Thousands(int64(l.n)), l.of, size, l.path, l.seed, took.Seconds())
		return err
	})
}
