package topology

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// LinkSpec is what a link does to packets, as written: both ways, and what differs in one.
type LinkSpec struct{ Both, Up, Down WaySpec }

func (l *LinkSpec) read(d *decoder, v *value) {
	d.into(v, &l.Both)
	if up := v.get(wayUp); up != nil {
		d.into(up, &l.Up)
	}
	if down := v.get(wayDown); down != nil {
		d.into(down, &l.Down)
	}
}

// The ways of a link.
const (
	wayUp   = "up"   // from the node into the network
	wayDown = "down" // to the node
)

// WaySpec is what one way of a link does to packets, as written.
type WaySpec struct {
	Delay        Delay      `json:"delay" jsonschema_description:"How long each packet is under way; 0s where left out."`
	Jitter       Delay      `json:"jitter" jsonschema_description:"How far the delay strays. Order is kept: a packet that would overtake another arrives right behind it."`
	Distribution Text       `json:"distribution" jsonschema:"enum=uniform,enum=normal,enum=pareto" jsonschema_description:"How the delay strays: uniform (within the jitter), normal (jitter is the standard deviation) or pareto (a few packets are late, by up to 4 times the jitter); uniform where left out."`
	Loss         Share      `json:"loss" jsonschema_description:"Share of packets that are lost, each by itself: 1% or 0.01."`
	Burst        *BurstSpec `json:"burst" jsonschema_description:"Loss in bursts, in place of loss: the Gilbert-Elliott model, as tc-netem's loss gemodel has it. Bursts are 1/r packets long on average."`
	Duplicate    Share      `json:"duplicate" jsonschema_description:"Share of packets of which a second copy arrives."`
	Reorder      Share      `json:"reorder" jsonschema_description:"Share of packets that skip the delay and so overtake those before them."`
	Corrupt      Share      `json:"corrupt" jsonschema_description:"Share of packets in which one bit is flipped."`
	Rate         Rate       `json:"rate" jsonschema_description:"Bits per second, counting Ethernet frames: 20mbit, 1gbit, 500kbit, a plain number; none is no limit, and so it is where left out."`
	Queue        QueueSize  `json:"queue" jsonschema_description:"The most that waits for the rate, in packets (100 packets, 100p) or bytes (1500b, 64kb, 64kib: 1024 bytes each, as tc counts); what finds no room is dropped. 1000 packets where left out."`
}

// BurstSpec is loss in bursts as written, with the letters of tc-netem.
type BurstSpec struct {
	At   Position `json:"-"`
	P    Share    `json:"p" jsonschema:"required" jsonschema_description:"Probability, after each packet, that the link turns bad."`
	R    Share    `json:"r" jsonschema:"required" jsonschema_description:"Probability, after each packet, that a bad link turns good."`
	Bad  Share    `json:"1-h" jsonschema_description:"Share of packets that a bad link loses; 100% where left out."`
	Good Share    `json:"1-k" jsonschema_description:"Share of packets that a good link loses; 0% where left out."`
}

// Delay is a length of time as written, which may be none.
type Delay struct {
	Text
	Duration time.Duration
}

// JSONSchema of a Delay.
func (Delay) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Examples: []any{"10ms", "1.5s", "250us", "0s"}}
}

// maxDelay is the longest delay: what is longer is rather a mistake.
const maxDelay = time.Hour

func (t *Delay) read(d *decoder, v *value) {
	if t.Text.read(d, v); !t.given() {
		return
	}
	duration, err := time.ParseDuration(t.Value)
	switch {
	case err != nil:
		d.errs.add(t.At, fmt.Sprintf("%q is no length of time", t.Value), "write it as 10ms, 1.5s or 250us")
	case duration < 0:
		d.errs.add(t.At, fmt.Sprintf("%s is less than no time", t.Value), "write 0s or more")
	case duration > maxDelay:
		d.errs.add(t.At, fmt.Sprintf("%s is longer than any link takes", t.Value), "the most is 1h")
	default:
		t.Duration = duration
	}
}

// Share is a share of packets, or a probability, as written: 1% or 0.01.
type Share struct {
	Text
	Value float64 // 0 to 1
}

// JSONSchema of both forms.
func (Share) JSONSchema() *jsonschema.Schema { return textOrNumber("1%", "0.01") }

func (s *Share) read(d *decoder, v *value) {
	if v.kind != text && v.kind != number {
		return
	}
	s.Text = Text{v.text, v.at}
	digits, percent := strings.CutSuffix(v.digits(), "%")
	digits = strings.TrimSpace(digits)
	exponent := ""
	if percent {
		exponent = "e-2" // exactly, where a division is not
	}
	share, err := strconv.ParseFloat(digits+exponent, 64)
	switch {
	case err != nil || math.IsNaN(share):
		d.errs.add(v.at, fmt.Sprintf("%q is no share", v.text), "write it as 1% or 0.01")
	case share < 0:
		d.errs.add(v.at, fmt.Sprintf("%s is less than nothing", v.text), "write 0% or more")
	case percent && share > 1:
		d.errs.add(v.at, fmt.Sprintf("%s is more than all packets", v.text), "the most is 100%")
	case !percent && share == 1:
		d.errs.add(v.at, fmt.Sprintf("%s could be read as all packets or as one in a hundred", v.text), "write 100% or 1%")
	case !percent && share > 1:
		d.errs.add(v.at, fmt.Sprintf("%s is more than all packets", v.text), "write "+v.text+"% if it is a percentage")
	default:
		s.Value = share
	}
}

// textOrNumber is the schema of a quantity.
func textOrNumber(examples ...any) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}, Examples: examples}
}

// Rate is a number of bits per second as written; none has the value 0.
type Rate struct {
	Text
	BitsPerSecond int64
}

// JSONSchema of both forms.
func (Rate) JSONSchema() *jsonschema.Schema { return textOrNumber("20mbit", "500kbit") }

// Bounds of rates: what is slower or faster is rather a mistake in the unit.
const (
	minRate = 1e3  // bits per second
	maxRate = 1e13 // bits per second
)

func (r *Rate) read(d *decoder, v *value) {
	if v.kind != text && v.kind != number {
		return
	}
	r.Text = Text{v.text, v.at}
	if v.text == none {
		return
	}
	amount, unit := quantity(v.digits())
	scale, known := rateUnits()[unit]
	switch {
	case strings.HasSuffix(unit, "bps"):
		d.errs.add(v.at, fmt.Sprintf("%s: tc means bytes by it, others bits", v.text),
			"write bits: "+strings.TrimSuffix(strings.ToLower(v.text), "bps")+"bit")
	case amount < 0 || !known:
		d.errs.add(v.at, fmt.Sprintf("%q is no rate", v.text), "write it as 20mbit, 1gbit or 500kbit")
	case amount*scale < minRate:
		d.errs.add(v.at, fmt.Sprintf("a rate of %s is %.4g bit/s, too slow for any link", v.text, amount*scale),
			"the least is 1kbit; none is no limit")
	case amount*scale > maxRate:
		d.errs.add(v.at, fmt.Sprintf("a rate of %s is faster than any link", v.text), "the most is 10tbit; none is no limit")
	default:
		r.BitsPerSecond = int64(amount * scale)
	}
}

// rateUnits are the units of tc(8) that count bits, in bits per second.
func rateUnits() map[string]float64 {
	return map[string]float64{
		"": 1, "bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12,
		"kibit": 1 << 10, "mibit": 1 << 20, "gibit": 1 << 30, "tibit": 1 << 40,
	}
}

// QueueSize is the bound of a queue as written.
type QueueSize struct {
	Text
	Packets, Bytes int // one is 0
}

// JSONSchema of a QueueSize: numbers are refused when they are read, with an advice.
func (QueueSize) JSONSchema() *jsonschema.Schema { return textOrNumber("100 packets", "64kb") }

// maxQueue bounds queues, in packets or bytes.
const maxQueue = 1 << 30

func (q *QueueSize) read(d *decoder, v *value) {
	if v.kind != text && v.kind != number {
		return
	}
	q.Text = Text{v.text, v.at}
	amount, unit := quantity(v.digits())
	scale, known := queueUnits()[unit]
	packets := strings.HasPrefix(unit, "p")
	size := amount * scale
	switch {
	case amount >= 0 && unit == "" && size <= maxQueue:
		d.errs.add(v.at, fmt.Sprintf("a queue of %s: netem and Mininet count packets, tbf bytes", v.text),
			fmt.Sprintf("write %sp or %[1]sb", v.text))
	case amount < 0 || !known || size != float64(int64(size)):
		d.errs.add(v.at, fmt.Sprintf("%q is no size of a queue", v.text), "write it as 100 packets, 100p, 64kb or 1500b")
	case size == 0:
		d.errs.add(v.at, "a queue of nothing lets packets pass only while no other is being sent", "the least is 1 packet")
	case size > maxQueue:
		d.errs.add(v.at, fmt.Sprintf("a queue of %s is larger than 1gb", v.text), "write less")
	case packets:
		q.Packets = int(size)
	default:
		q.Bytes = int(size)
	}
}

// queueUnits are what queues are measured in, as tc(8) counts: packets, and bytes.
func queueUnits() map[string]float64 {
	return map[string]float64{
		"p": 1, "packet": 1, "packets": 1,
		"b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
		"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
	}
}

// digits returns a quantity as text, numbers as JSON writes them: YAML has more ways.
func (v *value) digits() string {
	if n, ok := v.json.(json.Number); ok {
		return n.String()
	}
	return v.text
}

// quantity takes a number and its unit, in lower case, apart. The number is negative where there is none.
func quantity(s string) (amount float64, unit string) {
	s = strings.ToLower(strings.TrimSpace(s))
	if amount, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(amount) {
		return amount, ""
	}
	end := max(strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }), 0)
	amount, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return -1, ""
	}
	return amount, strings.TrimSpace(s[end:])
}
