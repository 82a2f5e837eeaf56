//go:build !linux

package fabric

import (
	"context"
	"errors"
	"io"
)

// Run needs Linux: it works on the kernel's network namespaces.
func Run(context.Context, io.Reader, io.Writer) error {
	return errors.New("the fabric runs on Linux only, in its container")
}
