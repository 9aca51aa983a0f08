//go:build !linux

package machine

// OwnCores are not known here.
func OwnCores() (mask string, all int) { return "", 0 }
