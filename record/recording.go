// Package record keeps what a run brings forth in a folder, and reads it back.
package record

import (
	"scenario/event"
	"scenario/topology"
)

// Recording is a run as its folder tells it: enough to make every report again.
type Recording struct {
	Plan    *topology.Plan
	Records []event.Record // by time
}
