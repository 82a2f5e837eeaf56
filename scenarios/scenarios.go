// Package scenarios is the library: scenario files and the sites that their web servers serve, as part of the program.
package scenarios

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var files embed.FS

//go:embed sites
var sites embed.FS

// Files holds the scenario files, NAME.yaml each.
func Files() fs.FS { return files }

// Sites holds a folder for each site.
func Sites() fs.FS {
	folder, err := fs.Sub(sites, "sites")
	if err != nil {
		panic(err) // the name is a valid one: it cannot happen
	}
	return folder
}
