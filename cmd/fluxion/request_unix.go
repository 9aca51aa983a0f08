//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// saveRequests are the SIGUSR1 that batch systems send before they end a job.
func saveRequests() (requests chan os.Signal, stop func()) {
	requests = make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR1)
	return requests, func() { signal.Stop(requests) }
}
