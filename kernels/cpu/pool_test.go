package cpu

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestPool: every task once, whatever the number of threads and processors.
func TestPool(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(procs)
		for _, threads := range []int{1, 2, 3, 8} {
			p := NewPool(threads, portable())
			for round := range 300 {
				tasks := round % 17
				counts := make([]atomic.Int32, tasks)
				p.Run(tasks, func(task, worker int) {
					if worker < 0 || worker >= threads {
						t.Errorf("worker %d of %d", worker, threads)
					}
					counts[task].Add(1)
				})
				for i := range counts {
					if n := counts[i].Load(); n != 1 {
						t.Fatalf("%d threads on %d processors: task %d ran %d times", threads, procs, i, n)
					}
				}
				if round%100 == 0 {
					time.Sleep(2 * time.Millisecond) // long enough for the workers to sleep
				}
			}
			p.Close()
			p.Close()
		}
		runtime.GOMAXPROCS(before)
	}
}

// TestLateWakeUp: a worker that was quick may be asleep again when the wake-up
// for what it has done comes. It must go on sleeping.
func TestLateWakeUp(t *testing.T) {
	w := &worker{wake: make(chan struct{}, 1)}
	awake := make(chan struct{})
	go func() {
		w.await(0)
		close(awake)
	}()
	for !w.asleep.Load() {
		runtime.Gosched()
	}
	w.asleep.Store(false)
	w.wake <- struct{}{}
	for !w.asleep.Load() { // it has looked at the generation and lain down again
		select {
		case <-awake:
			t.Fatal("a late wake-up started work that is not there")
		default:
			runtime.Gosched()
		}
	}
	w.call()
	<-awake
}

func TestPoolPanics(t *testing.T) {
	p := NewPool(3, portable())
	defer p.Close()
	for range 10 {
		func() {
			defer func() {
				if r := recover(); r != "task 5" {
					t.Errorf("recovered %v", r)
				}
			}()
			p.Run(20, func(task, _ int) {
				if task == 5 {
					panic("task 5")
				}
			})
		}()
		ran := atomic.Int32{}
		p.Run(9, func(int, int) { ran.Add(1) })
		if ran.Load() != 9 {
			t.Errorf("after a panic %d of 9 tasks ran", ran.Load())
		}
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	p := NewPool(2, portable())
	defer p.Close()
	f := func(int, int) {}
	p.Run(8, f)
	if n := testing.AllocsPerRun(100, func() { p.Run(8, f) }); n > 0 {
		t.Errorf("a run allocates %v times", n)
	}
}

func BenchmarkPool(b *testing.B) {
	p := NewPool(2, portable())
	defer p.Close()
	for range b.N {
		p.Run(2, func(int, int) {})
	}
}
