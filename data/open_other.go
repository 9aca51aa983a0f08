//go:build !unix

package data

import "os"

// openQuickly opens a file.
func openQuickly(path string) (*os.File, error) { return os.Open(path) }
