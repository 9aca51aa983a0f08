package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a fixed number of workers, one of which is whoever calls Run. Between
// runs the others spin for a moment and then sleep.
type Pool struct {
	kernels *Kernels
	workers []*worker
	running atomic.Int32 // workers that have not finished the run
	tasks   int64
	next    atomic.Int64
	f       func(task, worker int)
	failed  atomic.Pointer[failure]
	done    chan struct{} // the last worker's word, if the caller sleeps
	waiting atomic.Bool   // the caller sleeps
	once    sync.Once
}

// failure is a panic in a task.
type failure struct{ value any }

// worker is one of the pool's own threads.
type worker struct {
	generation atomic.Uint32 // counts runs; a change is the call to work
	asleep     atomic.Bool
	wake       chan struct{}
	stop       bool
}

// spins before a worker or the caller sleeps, about 60 microseconds.
const spins = 400

// NewPool starts a pool of this many threads for an instruction set.
func NewPool(threads int, k *Kernels) *Pool {
	p := &Pool{kernels: k, done: make(chan struct{}, 1)}
	for i := 1; i < threads; i++ {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.serve(w, i)
	}
	return p
}

// Threads is the number of workers, the caller included.
func (p *Pool) Threads() int { return len(p.workers) + 1 }

// Kernels is the pool's instruction set.
func (p *Pool) Kernels() *Kernels { return p.kernels }

// Run calls f once for every task in [0, tasks), on all workers, and returns
// when all calls have. A panic in a task is raised again here. Run must not be
// called from a task, nor by two goroutines at once.
func (p *Pool) Run(tasks int, f func(task, worker int)) {
	if tasks <= 1 || len(p.workers) == 0 {
		for task := range tasks {
			f(task, 0)
		}
		return
	}
	helpers := p.workers[:min(len(p.workers), tasks-1)]
	p.tasks, p.f = int64(tasks), f
	p.next.Store(0)
	p.running.Store(int32(len(helpers)))
	for _, w := range helpers {
		w.call()
	}
	p.work(0)
	for i := 0; p.running.Load() > 0; i++ {
		if i < spins {
			pause(i)
			continue
		}
		p.waiting.Swap(true)
		if p.running.Load() > 0 || !p.waiting.CompareAndSwap(true, false) {
			<-p.done
		}
	}
	p.f = nil
	if e := p.failed.Swap(nil); e != nil {
		panic(e.value)
	}
}

// pause waits a moment; now and then it lets other goroutines have the thread.
func pause(i int) {
	if i%16 == 15 {
		runtime.Gosched()
		return
	}
	spin()
}

func (w *worker) call() {
	w.generation.Add(1)
	if w.asleep.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// work takes tasks until there are none.
func (p *Pool) work(worker int) {
	defer func() {
		if r := recover(); r != nil {
			p.failed.CompareAndSwap(nil, &failure{r})
			p.next.Store(p.tasks)
		}
	}()
	for {
		task := p.next.Add(1) - 1
		if task >= p.tasks {
			return
		}
		p.f(int(task), worker)
	}
}

func (p *Pool) serve(w *worker, index int) {
	for seen := uint32(0); ; {
		w.await(seen)
		seen++
		if w.stop {
			return
		}
		p.work(index)
		if p.running.Add(-1) == 0 && p.waiting.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// await returns once the generation is no longer the one seen. A wake-up may be
// late and belong to a run that is over: only the generation counts.
func (w *worker) await(seen uint32) {
	for i := 0; w.generation.Load() == seen; i++ {
		if i < spins {
			pause(i)
			continue
		}
		w.asleep.Swap(true)
		if w.generation.Load() == seen || !w.asleep.CompareAndSwap(true, false) {
			<-w.wake
			i = 0
		}
	}
}

// Close ends the workers. The pool must be idle.
func (p *Pool) Close() {
	p.once.Do(func() {
		for _, w := range p.workers {
			w.stop = true
			w.call()
		}
		p.workers = nil
	})
}
