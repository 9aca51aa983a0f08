package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"fluxion/engine/record"
)

// commandSink runs a command of the user's for each checkpoint, beside the loop. While one
// runs, only the newest of those that follow waits.
type commandSink struct {
	record.Nothing
	command, run string
	warn         func(format string, args ...any) // called from the loop

	next   chan record.File // that waits, at most one
	done   chan struct{}
	mutex  sync.Mutex
	failed []string // that were not told yet
}

func newCommandSink(command, run string, warn func(string, ...any)) *commandSink {
	return &commandSink{command: command, run: run, warn: warn, next: make(chan record.File, 1), done: make(chan struct{})}
}

func (c *commandSink) Begin(int64) error {
	go func() {
		defer close(c.done)
		for f := range c.next {
			if problem := c.execute(f); problem != "" {
				c.mutex.Lock()
				c.failed = append(c.failed, problem)
				c.mutex.Unlock()
			}
		}
	}()
	return nil
}

func (c *commandSink) Checkpoint(f record.File) error {
	for {
		select {
		case c.next <- f:
			return nil
		default:
		}
		select {
		case <-c.next: // an older one, whose place this takes
		default:
		}
	}
}

func (c *commandSink) Status(record.Status) error {
	c.tell()
	return nil
}

// Close waits for the last command.
func (c *commandSink) Close() error {
	close(c.next)
	<-c.done
	c.tell()
	return nil
}

func (c *commandSink) tell() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, problem := range c.failed {
		c.warn("%s", problem)
	}
	c.failed = nil
}

// execute runs the command by the system's shell, and says what was wrong. The variables
// that tell it of the checkpoint do not begin as settings of this program do: the command
// may be one of its own.
func (c *commandSink) execute(f record.File) string {
	shell := []string{"sh", "-c"}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c"}
	}
	command := exec.Command(shell[0], shell[1], c.command)
	command.Env = append(os.Environ(), "RUN="+c.run, "CHECKPOINT="+f.Path, "CHECKPOINT_IMAGES="+strconv.FormatInt(f.Images, 10))
	var out lastWords
	command.Stdout, command.Stderr, command.WaitDelay = &out, &out, time.Second // what it leaves running is not waited for
	err := command.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return ""
	}
	text := strings.TrimSpace(string(out.text))
	if text != "" {
		text = ": " + text
	}
	return "--on-checkpoint failed for " + f.Path + ", the run goes on: " + err.Error() + text
}

// lastWords keeps the end of what is written.
type lastWords struct{ text []byte }

func (l *lastWords) Write(p []byte) (int, error) {
	const most = 500
	l.text = append(l.text, p[max(0, len(p)-most):]...)
	l.text = append(l.text[:0], l.text[max(0, len(l.text)-most):]...)
	return len(p), nil
}
