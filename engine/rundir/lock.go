package rundir

import (
	"errors"
	"os"
	"time"
)

var errLocked = errors.New("locked by another process")

// lock takes the lock that a file is, which ends with the process. Who finds it taken
// asks again for a moment: somebody may only look whether it is.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	err = tryLock(f, true)
	for try := 0; try < 5 && errors.Is(err, errLocked); try++ {
		time.Sleep(10 * time.Millisecond)
		err = tryLock(f, true)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// locked says whether a process holds the lock.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(tryLock(f, false), errLocked)
}
