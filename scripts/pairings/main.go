// Command pairings pairs images and noise that it is given, as training does, or says where a
// bridge between them stands: for scripts/check_couplings.py. It reads problems from its
// input and writes answers, each as a line of JSON.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"fluxion/engine/couple"
	"fluxion/engine/process"
	"fluxion/kernels/gram"
)

// problem is the images and noise of some steps, which differ in what is drawn.
type problem struct {
	Coupling      string
	Images, Noise [][]float32
	Classes       []int32
	Steps         int
	Bridge        *bridge // in the place of the others
}

// bridge asks where numbers are on the way from one end to the other, and at which times.
type bridge struct {
	Name                  string
	Time, From, To, Third []float64
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pairings:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	read, write := json.NewDecoder(in), json.NewEncoder(w)
	for {
		var p problem
		if err := read.Decode(&p); errors.Is(err, io.EOF) {
			return w.Flush()
		} else if err != nil {
			return err
		}
		var answer any
		var err error
		if p.Bridge != nil {
			answer, err = p.Bridge.solve()
		} else {
			answer, err = p.solve()
		}
		if err != nil {
			return err
		}
		if err := write.Encode(answer); err != nil {
			return err
		}
	}
}

// solve returns the number of the noise of each image, step by step.
func (p problem) solve() (answers [][]int64, err error) {
	c, err := couple.Get(p.Coupling)
	if err != nil {
		return nil, err
	}
	n := int64(len(p.Images))
	products := gram.Of(p.Images, p.Noise)
	for step := range int64(p.Steps) {
		s := couple.Step{
			Images: p.Images, Classes: p.Classes, Products: products, Noise: make([]int64, n), At: make([]int64, n),
			Draw: func(address int64, to []float32) { copy(to, p.Noise[address%n]) },
		}
		for i := range s.Noise {
			s.Noise[i] = step*n + int64(i)
			s.At[i] = s.Noise[i]
		}
		if err := c.Pair(s); err != nil {
			return nil, err
		}
		for i := range s.Noise {
			s.Noise[i] %= n
		}
		answers = append(answers, s.Noise)
	}
	return answers, nil
}

// solve returns mean, deviation, velocity and score of each number, by a time that grows to
// the data.
func (b bridge) solve() (answers [][4]float64, err error) {
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err == nil {
		p, err = p.With(process.Gaussian, b.Name)
	}
	if err != nil {
		return nil, err
	}
	for i, t := range b.Time {
		q := p.At(1 - t)
		x, e, xi := b.To[i], b.From[i], b.Third[i]
		answers = append(answers, [4]float64{q.Alpha*x + q.Sigma*e, q.Gamma, -(q.A*x + q.B*e + q.C*xi), -xi / q.Gamma})
	}
	return answers, nil
}
