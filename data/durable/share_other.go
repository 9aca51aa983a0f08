//go:build !unix

package durable

// Share says that this process writes into a folder. Without locks nobody knows
// who else does, and nothing is swept.
func Share(string) (leave func() error, err error) { return func() error { return nil }, nil }

// Alone says that this process writes into a folder, as no other may. Without locks
// nobody is kept out.
func Alone(string) (leave func() error, err error) { return func() error { return nil }, nil }

// removeLeft leaves a folder where it is: without locks nobody knows whether it is somebody's.
func removeLeft(string) {}
