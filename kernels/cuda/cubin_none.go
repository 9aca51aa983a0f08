//go:build !gpu

package cuda

import "embed"

// cubins are none: a program that runs no GPU would carry them for nothing.
var cubins embed.FS
