//go:build !unix

package main

import "os"

func saveRequests() (requests chan os.Signal, stop func()) { return nil, func() {} }
