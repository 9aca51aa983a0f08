package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data/object"
)

// autoPart begins a part that is the place of this process in what a scheduler has started:
// auto, or auto/N where that does not say how many there are.
const autoPart = "auto"

// part is one of several, from 1, that fill a folder together.
type part struct{ number, of int }

// readPart reads --part: I/N, or auto.
func readPart(text string, environment func(string) string) (p part, err error) {
	kind, n, given := strings.Cut(text, "/")
	if kind != autoPart {
		p.number, p.of, err = parsePart(text)
		return p, err
	}
	of := 0
	if given {
		if of, err = strconv.Atoi(n); err != nil || of < 1 || of > 1<<20 {
			return p, fault.Usagef("--part %s: want auto/N of N parts, such as auto/16", text)
		}
	}
	var odd error // of what a scheduler says
	number := func(name string) (int, bool) {
		value := environment(name)
		n, err := strconv.Atoi(value)
		if ok := err == nil && n >= 0; ok || value == "" {
			return n, ok
		}
		odd = fault.Usagef("--part %s: %s=%s is no number from 0; want I/N, such as 3/16", text, name, value)
		return 0, false
	}
	array, arrays, found, err := placeInArray(number, of)
	if err != nil {
		return p, err
	}
	task, tasks := placeInStep(number)
	if odd != nil {
		return p, odd
	}
	if !found && tasks == 1 {
		return p, fault.Usagef("--part %s: no scheduler says which this is (SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX, or a launcher of MPI); want I/N, such as 3/16", text)
	}
	switch all := arrays * tasks; {
	case of == 0 || of == all || !found && of == tasks:
		return part{array*tasks + task + 1, all}, nil
	default:
		return p, fault.Usagef("--part %s: %d places times %d tasks are %d parts", text, arrays, tasks, all)
	}
}

// placeInArray is that of this job among those that a scheduler has started as an array,
// from 0. So many parts are said where the scheduler does not know: then any as many
// neighbouring numbers are all of them.
func placeInArray(number func(string) (int, bool), of int) (place, count int, found bool, err error) {
	within := func(id, count int, name string) (int, int, bool, error) {
		if of > 0 {
			count = of
		}
		if count == 0 {
			return 0, 0, false, fault.Usagef("--part %s: %s=%d does not tell of how many; want auto/N", autoPart, name, id)
		}
		return id % count, count, true, nil
	}
	// Two of more places than parts would make the same one.
	more := func(places int, name string) (int, int, bool, error) {
		return 0, 0, false, fault.Usagef("--part %s/%d: %s says that there are %d places or more; want %s/%d, or as many as there are", autoPart, of, name, places, autoPart, places)
	}
	if id, ok := number("SLURM_ARRAY_TASK_ID"); ok {
		least, _ := number("SLURM_ARRAY_TASK_MIN")
		most, _ := number("SLURM_ARRAY_TASK_MAX")
		count, _ := number("SLURM_ARRAY_TASK_COUNT")
		if of > 0 && most-least >= of {
			return more(most-least+1, "SLURM_ARRAY_TASK_MAX")
		}
		if count > 0 && most-least+1 != count { // a list such as 3,7, or a step
			count = 0
		}
		return within(id, count, "SLURM_ARRAY_TASK_ID")
	}
	if id, ok := number("AWS_BATCH_JOB_ARRAY_INDEX"); ok {
		count, _ := number("AWS_BATCH_JOB_ARRAY_SIZE")
		if places := max(count, id+1); of > 0 && places > of {
			return more(places, "AWS_BATCH_JOB_ARRAY_SIZE")
		}
		if of == 0 && count > 0 && id >= count {
			return 0, 0, false, fault.Usagef("--part %s: AWS_BATCH_JOB_ARRAY_INDEX=%d of AWS_BATCH_JOB_ARRAY_SIZE=%d; want I/N, such as 3/16", autoPart, id, count)
		}
		return within(id, count, "AWS_BATCH_JOB_ARRAY_INDEX")
	}
	if id, ok := number("JOB_COMPLETION_INDEX"); ok {
		if of > 0 && id >= of {
			return more(id+1, "JOB_COMPLETION_INDEX")
		}
		return within(id, 0, "JOB_COMPLETION_INDEX")
	}
	return 0, 1, false, nil
}

// placeInStep is that of this process among those that mpirun or srun has started, from 0.
func placeInStep(number func(string) (int, bool)) (place, count int) {
	for _, names := range [][2]string{
		{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}, {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}, {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
	} {
		place, known := number(names[0])
		count, told := number(names[1])
		if known && told && place < count {
			return place, count
		}
	}
	return 0, 1
}

// seeds are those of the part: every so many, so that parts take equally long.
func (p part) seeds(all []int64) []int64 {
	if p.of <= 1 {
		return all
	}
	var own []int64
	for i := p.number - 1; i < len(all); i += p.of {
		own = append(own, all[i])
	}
	return own
}

func (p part) String() string { return fmt.Sprintf("%d/%d", p.number, p.of) }

// settlePart reads which part is to be made, and says what does not go with it.
func (o *sampleOptions) settlePart() (err error) {
	if o.parts == "" {
		o.part = part{1, 1}
		return nil
	}
	if o.part, err = readPart(o.parts, os.Getenv); err != nil {
		return err
	}
	switch {
	case o.floats() && object.Is(o.out):
		return fault.Usagef("--part %s: the parts of one object would be on other machines; want --out tar:s3://BUCKET/PREFIX, or a prefix of pictures", o.parts)
	case o.saveNoise != "":
		return fault.Usagef("--part %s: --save-noise writes the noise of all images; want it of one process without --part", o.parts)
	}
	return nil
}

// grid writes the grid if all pictures are there: those of other parts may not be yet.
func (o *sampleOptions) grid(ctx context.Context, folder samples.Folder, want samples.Wanted) (path string, left int, err error) {
	if o.part.of > 1 {
		if left, err = folder.Absent(ctx, want.Seeds); err != nil || left > 0 {
			return "", left, err
		}
		found, err := folder.Look(ctx, want)
		if err != nil || len(found.Missing) > 0 {
			return "", len(found.Missing), err
		}
	}
	path, err = folder.Grid(ctx, want, o.columns)
	return path, 0, err
}
