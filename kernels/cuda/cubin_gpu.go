//go:build gpu

package cuda

import "embed"

// cubins are the packed machine code of modules, NAME.zst each.
//
//go:embed cubins/*.zst
var cubins embed.FS
