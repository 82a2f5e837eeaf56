// Command scenario brings networks from files to life and shows what happens in them. The same program is the first
// process of its containers.
package main

import (
	"os"
	"runtime/debug"

	"scenario/internal/cli"
	"scenario/nodes"
	"scenario/scenarios"
)

func main() {
	if os.Getenv("GOGC") == "" {
		// A run is short and keeps most of what it allocates: to collect it seldom saves a tenth of the time.
		debug.SetGCPercent(400)
	}
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
