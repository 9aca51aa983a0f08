package cuda

import "fmt"

// Jobs are calls of a function that can run side by side in one launch. The function's argument is
// a struct Jobs of jobs.cuh, with room for Most of them.
type Jobs struct {
	Most int
	List []Job
}

// Job is a call within a launch: its own grid, and its argument, a multiple of 8 bytes.
type Job struct {
	Grid [3]int
	Args []byte
}

// OneJob is a launch of a function of jobs with one of them, which c says.
func OneJob(c Call, most int) Call {
	c.Jobs = Jobs{most, []Job{{c.Grid, c.Args}}}
	return c.pack()
}

// pack makes grid and arguments of a launch from its jobs.
func (c Call) pack() Call {
	n, blocks := c.Jobs.Most, 0
	first, across, down := make([]byte, 0, 4*n), make([]byte, 0, 4*n), make([]byte, 0, 4*n)
	var args []byte
	for _, j := range c.Jobs.List {
		first, across, down = append(first, Args(blocks)...), append(across, Args(j.Grid[0])...), append(down, Args(j.Grid[1])...)
		args = append(args, j.Args...)
		blocks += j.Grid[0] * j.Grid[1] * j.Grid[2]
	}
	whole := func(b []byte, size int) []byte { return append(b, make([]byte, size-len(b))...) }
	size := len(c.Jobs.List[0].Args)
	c.Grid = [3]int{blocks, 1, 1}
	c.Args = Args(len(c.Jobs.List), 0)
	for _, numbers := range [][]byte{first, across, down} {
		c.Args = append(c.Args, whole(numbers, (4*n+7)/8*8)...)
	}
	c.Args = append(c.Args, whole(args, n*size)...)
	return c
}

// SideBySide joins launches of the same functions of jobs, which need nothing of each other, to as few as can be.
// Others stay as they are.
func SideBySide(calls []Call) []Call {
	var joined []Call
	open := map[string]int{} // where a launch has room
	for _, c := range calls {
		if len(c.Jobs.List) == 0 {
			joined = append(joined, c)
			continue
		}
		key := fmt.Sprint(c.Module.Name, c.Function, c.Block, c.Shared)
		at, ok := open[key]
		if !ok || len(joined[at].Jobs.List)+len(c.Jobs.List) > c.Jobs.Most {
			open[key] = len(joined)
			joined = append(joined, c)
			continue
		}
		joined[at].Jobs.List = append(joined[at].Jobs.List[:len(joined[at].Jobs.List):len(joined[at].Jobs.List)], c.Jobs.List...)
	}
	for i, c := range joined {
		if len(c.Jobs.List) > 1 {
			joined[i] = c.pack()
		}
	}
	return joined
}
