// Command scenario brings networks from files to life and shows what happens in them. The same program is the first
// process of its containers.
package main

import (
	"os"

	"scenario/internal/cli"
	"scenario/nodes"
	"scenario/scenarios"
)

func main() {
	kinds := nodes.Kinds(scenarios.Sites())
	app := cli.App{
		Engines: engines(kinds),
		Kinds:   kinds,
		Library: scenarios.Files(),
		Agents:  agents(kinds),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}
	os.Exit(app.Main(os.Args[1:]))
}
