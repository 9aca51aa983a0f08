//go:build !unix

package durable

import "os"

func umask() os.FileMode { return 0o022 }
