//go:build !unix

package live

import "io/fs"

// private returns nil: the folder for temporary files is the user's own here.
func private(fs.FileInfo) error { return nil }
