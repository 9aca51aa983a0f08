// Command fewsteps trains a flow, distils it by every method there is, and judges few
// steps of each: points by the exact squared Wasserstein distance to others, images by
// what a classifier sees. It fails where a method is not within its gate, or where
// steps of the flow itself are, which must not be.
//
//	go build -o fluxion ./cmd/fluxion && go run ./scripts/fewsteps -fluxion ./fluxion -set ring
//	go run ./scripts/fewsteps -fluxion ./fluxion -set mnist -mnist DIR -dir runs
//
// Sets are in list below. The same command again goes on with what is in -dir. On two
// cores that do nothing else a set of points takes a quarter of an hour, digits
// half of one, and images two hours: -only trains some methods of a set at a time.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"fluxion/data/lookup"
)

// list has every set; a new one is a file, and a line here.
var list = []set{ring, grid, digits, glyphs, mnist}

func main() {
	var names []string
	for _, s := range list {
		names = append(names, s.name)
	}
	r := runner{}
	flag.StringVar(&r.program, "fluxion", "fluxion", "the program")
	flag.StringVar(&r.dir, "dir", "", "folder for runs and samples, which stay there; a temporary one if not given")
	flag.StringVar(&r.mnist, "mnist", "", "folder with MNIST, for sets of handwriting")
	name := flag.String("set", ring.name, "what is learnt: "+strings.Join(names, ", "))
	only := flag.String("only", "", "methods, as a regular expression; the first, which others begin with, is always there")
	flag.StringVar(&r.svg, "figure", "", "where to write what one step of each method makes, as an SVG; for sets of points")
	flag.IntVar(&r.images, "images", 0, "images that methods behind the first see; 0: as many as the set has it")
	flag.Parse()
	i, err := lookup.Find("set", *name, names)
	if err == nil {
		r.only, err = regexp.Compile(*only)
	}
	if err == nil {
		err = r.run(list[i])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fewsteps:", err)
		os.Exit(1)
	}
}

func (r runner) run(s set) (err error) {
	if r.program, err = filepath.Abs(r.program); err != nil {
		return err
	}
	if r.mnist != "" {
		if r.mnist, err = filepath.Abs(r.mnist); err != nil {
			return err
		}
	}
	if r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "fewsteps-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	} else if r.dir, err = filepath.Abs(r.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	judge, err := s.open(&r)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s.\n\n| method | %s |\n|---%s|\n", s.name, judge.about(), strings.Join(s.ways, " | "), strings.Repeat("|---", len(s.ways)))
	t := table{}
	for i, m := range s.methods {
		if i > 0 && !r.only.MatchString(m.name) {
			continue
		}
		if err := r.judge(s, m, judge, t); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Println(t.row(m.name, s.ways))
	}
	if r.svg != "" {
		p, ok := judge.(*points)
		if !ok {
			return fmt.Errorf("-figure is of points, and %s is of images", s.name)
		}
		if err := r.figure(s, p, t); err != nil {
			return err
		}
	}
	failed := s.failed(t)
	if len(t) == len(s.methods) {
		failed = append(failed, s.check(t)...)
	}
	if failed != nil {
		return fmt.Errorf("not as it must be: %s", strings.Join(failed, "; "))
	}
	return nil
}
