// Command fluxion trains image diffusion and flow-matching models and samples from them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/sweeps"
	"fluxion/data"
	"fluxion/engine/collective"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/likelihood"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
	"fluxion/engine/scheduler"
	"fluxion/engine/train"
	"fluxion/nets"
	"fluxion/nets/pyjson"
	"fluxion/nets/safetensors"

	"github.com/spf13/cobra"
)

// Exit codes, as root --help tells them.
const (
	exitFailure  = 1
	exitUsage    = 2
	exitInput    = 3
	exitFolder   = 4
	exitDiverged = 5
	exitLost     = 6
	exitSignal   = fault.Signal // plus the signal's number
)

const exitCodes = `Exit codes:
  0    done
  1    failure
  2    wrong flag, key, name or value
  3    data or model that cannot be used
  4    run folder in use or gone, or run, samples or sweep of other settings
  5    numbers that are not finite: training diverged, or weights or settings give no picture
  6    another process of the run was lost, or does not answer; the run can be resumed, by any number of processes
  129  hung up, 130 interrupted, 131 quit, 143 terminated; the run can be resumed`

// signalError is the cause of a context that a signal ended.
type signalError struct {
	signal  syscall.Signal
	instead string // what stopped it, where it was no signal but ends as this one does
}

func (e signalError) Error() string {
	if e.instead != "" {
		return "stopped " + e.instead
	}
	return "stopped by signal: " + e.signal.String()
}

// goesOn adds to a signal that ended work, and lost none of it, which command goes
// on with it.
func goesOn(err error, command string) error {
	var unsaved *train.UnsavedError
	var peer *train.StoppedError
	if stopped := (signalError{}); !errors.As(err, &stopped) && !errors.As(err, &peer) || errors.As(err, &unsaved) {
		return err
	}
	return fmt.Errorf("%w; %s goes on from here", err, command)
}

func main() {
	ctx, stop := withSignals(context.Background())
	defer stop(nil)
	out := console.NewStdout(os.Stdout)
	root := newRoot()
	completions(root)
	runTwice(root, os.Args[1:])
	root.SetOut(out)
	begin := time.Now()
	c, err := execute(ctx, root, os.Args[1:])
	if err == nil {
		err = out.Failure()
	}
	err = errors.Join(err, fetch.Remove())
	if console.LevelOf(c.OutOrStdout()) == console.Verbose {
		console.Detail("it took %.3g s", time.Since(begin).Seconds())
	}
	if err != nil {
		if done := (told{}); !errors.As(err, &done) {
			console.Error(os.Stderr, helped(c, err))
		}
		os.Exit(exitCode(err))
	}
}

// nextStep is how errors go on that say what to do.
const nextStep = `want |mean |give |leave it out|make it first|--help|there are [^0-9]`

// helped ends an error of the command line in the next step, where it says none itself.
func helped(c *cobra.Command, err error) error {
	var usage fault.UsageError
	if !errors.As(err, &usage) || regexp.MustCompile(nextStep).MatchString(err.Error()) {
		return err
	}
	return fmt.Errorf("%w; %s --help has an example", err, c.CommandPath())
}

// execute runs the command line, and tells a machine that reads along of its error. It is
// the last net: what panics below is a defect of this program, told in one line.
func execute(ctx context.Context, root *cobra.Command, args []string) (c *cobra.Command, err error) {
	if c, _, err = root.Find(args); err != nil {
		c = root
	}
	root.SetArgs(args)
	err = guarded(func() error { return root.ExecuteContext(ctx) })
	if of := (told{}); errors.As(err, &of) && !of.first {
		return c, err // the first process of the group says it
	}
	if f := c.Flags().Lookup("json"); err != nil && f != nil && (f.Value.String() == "true" || slices.Contains(args, "--json")) {
		console.NewFace(c.OutOrStdout(), true).Event("ended", map[string]any{"error": strings.ReplaceAll(err.Error(), "\n", "; "), "code": exitCode(err)})
	}
	return c, err
}

// guarded turns a panic into an error.
func guarded(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = defectError{r, panicPlace()}
		}
	}()
	return run()
}

// defectError is a panic.
type defectError struct {
	value any
	place string
}

func (e defectError) Error() string {
	return fmt.Sprintf("a defect of this program, version %s: %v (%s); please report this line and the command to the project that you have it from", version(), e.value, e.place)
}

// panicPlace is where a panic that is being recovered from was raised.
func panicPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for panicked := false; ; {
		f, more := frames.Next()
		if panicked && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s, %s:%d", f.Function, filepath.Base(f.File), f.Line)
		}
		if panicked = panicked || f.Function == "runtime.gopanic"; !more {
			return "at an unknown place"
		}
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "fluxion",
		Short:         "Train image diffusion and flow-matching models and sample from them",
		Long:          "Fluxion trains image diffusion and flow-matching models and samples from them.\n\n" + exitCodes,
		SilenceErrors: true, SilenceUsage: true,
		Example: "  fluxion train\n  fluxion sample --model runs/glyphs-tiny --out out --count 64",
	}
	root.SetFlagErrorFunc(settings.FlagError)
	var quiet, verbose bool
	root.PersistentFlags().BoolVarP(&quiet, "quiet", "q", false, "print results and errors alone")
	root.PersistentFlags().BoolVarP(&verbose, "verbose", "v", false, "say more: where settings are from, every status, how long it took")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		asJSON := c.Flags().Lookup("json")
		console.ForMachines(asJSON != nil && asJSON.Value.String() == "true")
		switch {
		case quiet && verbose:
			return fault.Usagef("want one of --quiet and --verbose")
		case quiet:
			c.SetOut(console.At(c.OutOrStdout(), console.Quiet))
		case verbose:
			c.SetOut(console.At(c.OutOrStdout(), console.Verbose))
		}
		return nil
	}
	root.AddCommand(newTrain(), newRecipes(), newRuns(), newConfig(), newSample(), newPairs(), newLatents(), newEval(), newSweep(), newConvert(), newData(), newBench(), newInspect(), newTrace(), newFigures(), newDoctor(), newVersion(), newLicenses(), newManual())
	root.InitDefaultCompletionCmd()
	knownShells(root)
	complete(root)
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fault.Usagef("no command %q; there are train, recipes, runs, config, sample, pairs, latents, eval, sweep, convert, data, bench, inspect, trace, figures, doctor, version, licenses, completion", args[0])
		}
		return c.Help()
	}
	root.Args = cobra.ArbitraryArgs
	root.Version = thisBuild().String() // a template of our own would cost 10 MB: scripts/sizes
	return root
}

// knownShells has the command of completions refuse other shells, which cobra's own does not.
func knownShells(root *cobra.Command) {
	c, _, err := root.Find([]string{"completion"})
	if err != nil {
		panic(err) // it was added
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fault.Usagef("no completion for %q; there are those for bash, zsh, fish and powershell", args[0])
		}
		return c.Help()
	}
}

// complete adds to every command what all have.
func complete(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.Flags().Lookup("config") != nil && !strings.Contains(c.Long, settings.Help) {
			c.Long += "\n\n" + settings.Help
		}
		c.Long += "\n\n" + exitCodes
		if !c.HasSubCommands() && c.Args == nil { // those say what else there is
			c.Args = noArguments
		}
		if c.Example == "" { // cobra's own: completion, and a command for each shell
			c.Example = "  " + c.CommandPath() + " >fluxion.completion"
			if c.HasSubCommands() {
				c.Example = "  " + c.CommandPath() + " bash >fluxion.completion"
			}
		}
		complete(c)
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.Usagef("unexpected argument %q", args[0])
	}
	return nil
}

// withSignals ends the context at the first signal, and the process at the second
// interrupt: a terminal that closes hangs up more than once.
func withSignals(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // see stdout
	go func() {
		interrupted := false
		for s := range signals {
			s := s.(syscall.Signal)
			cancel(signalError{signal: s})
			if s == syscall.SIGHUP {
				continue
			}
			if interrupted {
				os.Exit(exitSignal + int(s))
			}
			interrupted = true
		}
	}()
	return ctx, cancel
}

// exitCode maps an error to the code that the help text promises.
func exitCode(err error) int {
	var (
		stopped   signalError
		usage     fault.UsageError
		setting   *train.SettingError
		config    *nets.ConfigError
		bad       *data.Error
		file      *safetensors.FormatError
		inUse     *rundir.InUseError
		folder    *rundir.Error
		gone      *rundir.GoneError
		changed   *train.ChangedError
		broken    *train.CheckpointError
		settings  *train.SettingsError
		link      *model.LinkError
		diverged  *train.NotFiniteError
		memory    *device.MemoryError
		model     modelError
		method    schedulerError
		preset    *train.PresetError
		text      *pyjson.Error
		schedule  *scheduler.FileError
		written   fault.OutputError
		unsaved   *train.UnsavedError
		weights   *nets.NotFiniteError
		picture   *generate.NotFiniteError
		pictures  *samples.Error
		otherMade *samples.MadeError
		features  *evaluate.NotFiniteError
		flow      *likelihood.NotFiniteError
		table     *sweeps.Error
		peer      *train.StoppedError
		lost      *collective.LostError
		mixture   *train.MixtureError
	)
	var tooLarge *nets.SizeError
	switch {
	case errors.As(err, &unsaved) && (errors.As(err, &weights) || errors.As(err, &diverged)):
		return exitDiverged // which is why it is not saved
	case errors.As(err, &unsaved):
		return exitFailure // whatever ended it
	case errors.As(err, &lost):
		return exitLost
	case errors.As(err, &stopped):
		return exitSignal + int(stopped.signal)
	case errors.As(err, &peer):
		return exitSignal + int(syscall.SIGTERM)
	case errors.As(err, &broken): // whatever is wrong with it
		return exitInput
	case errors.As(err, &usage), errors.As(err, &setting), errors.As(err, &mixture), errors.As(err, &memory), errors.As(err, &tooLarge):
		return exitUsage
	case errors.As(err, &written), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EROFS):
		return exitFailure // the user's data and model are sound
	case errors.As(err, &inUse), errors.As(err, &changed), errors.As(err, &folder), errors.As(err, &gone), errors.As(err, &pictures), errors.As(err, &otherMade), errors.As(err, &table):
		return exitFolder
	case errors.As(err, &diverged), errors.As(err, &weights), errors.As(err, &picture), errors.As(err, &features), errors.As(err, &flow):
		return exitDiverged
	case errors.As(err, &bad), errors.As(err, &file), errors.As(err, &model), errors.As(err, &method), errors.As(err, &settings), errors.As(err, &link),
		errors.As(err, &preset), errors.As(err, &text), errors.As(err, &schedule), errors.As(err, &config) && config.File != "":
		return exitInput
	case errors.As(err, &config):
		return exitUsage
	case errors.Is(err, fs.ErrNotExist):
		return exitInput
	}
	return exitFailure
}

// modelError is a model folder that cannot be used.
type modelError struct {
	dir string
	err error
}

func (e modelError) Error() string { return fmt.Sprintf("model %s: %v", e.dir, e.err) }
func (e modelError) Unwrap() error { return e.err }
