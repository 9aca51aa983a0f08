//go:build !gpu

package nccl

import "errors"

func load(string) (calls, string, error) {
	return calls{}, "", errors.New("this program was built without its GPU path, and has no NCCL: build it with -tags gpu")
}
