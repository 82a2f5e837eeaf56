package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"scenario/event"
)

// echoes tells echo requests: as a table of hops where their TTL goes up, else one by one.
func (t *teller) echoes() {
	for _, q := range t.asked {
		t.question(q)
	}
	all := pick[event.ICMPEcho](t.step.records)
	hops := make(map[int][]seen[event.ICMPEcho])
	for _, e := range all {
		hops[e.is.TTL] = append(hops[e.is.TTL], e)
	}
	if t.step.Action == "traceroute" || len(hops) > 1 {
		t.hops(all, hops)
		return
	}
	t.pings(all)
}

func (t *teller) pings(all []seen[event.ICMPEcho]) {
	least, most, sum, answered := math.Inf(1), 0.0, 0.0, 0
	for i, e := range all {
		if i == 0 {
			t.note("", in(name, e.Node).say(" sends echo requests to ").add(t.run.who.at(e.Node, e.is.To)))
		}
		w := say(fmt.Sprintf("%3d  ", e.is.Sequence)).add(t.reply(e))
		took := ""
		if e.is.Error == "" {
			took = seconds(e.is.Duration)
		}
		t.put(sent(e), branch(i, len(all)), w, took)
		if e.is.Reply == "echo-reply" {
			answered++
			least, most, sum = min(least, e.is.Duration), max(most, e.is.Duration), sum+e.is.Duration
		}
	}
	w := say(fmt.Sprintf("%d sent, %d answered", len(all), answered))
	if answered < len(all) {
		w = w.in(bad, fmt.Sprintf(", %d %% lost", 100*(len(all)-answered)/len(all)))
	}
	if answered > 0 {
		w = w.say("; there and back in " + seconds(least) + " to " + seconds(most) + ", " + seconds(sum/float64(answered)) + " on average")
	}
	t.note("", w)
}

// sent is when the request went out: its event tells what came of it.
func sent(e seen[event.ICMPEcho]) time.Time {
	return e.Time.Add(-time.Duration(e.is.Duration * float64(time.Second)))
}

// reply says what came of an echo request.
func (t *teller) reply(e seen[event.ICMPEcho]) words {
	switch {
	case e.is.Error != "" || e.is.From == "":
		return in(bad, "nobody answered: "+clean(cmp.Or(e.is.Error, "no reply is recorded")))
	case e.is.Reply == "echo-reply":
		return say("reply from ").add(t.run.who.at(e.Node, e.is.From))
	case e.is.Reply == "time-exceeded":
		return in(bad, "time exceeded").say(" says ").add(t.run.who.at(e.Node, e.is.From)).say(": the packet had passed as many routers as it may")
	case e.is.Reply == "destination-unreachable":
		return in(bad, "destination unreachable").say(" says ").add(t.run.who.at(e.Node, e.is.From)).say(": no way leads there, or it is forbidden")
	}
	return say(clean(e.is.Reply) + " from ").add(t.run.who.at(e.Node, e.is.From))
}

// hops tells a traceroute: each router on the way gives itself away by the packet that dies there.
func (t *teller) hops(all []seen[event.ICMPEcho], byTTL map[int][]seen[event.ICMPEcho]) {
	t.note("", in(name, all[0].Node).say(" sends packets that end at the 1st, 2nd, 3rd … machine on the way to ").add(t.run.who.at(all[0].Node, all[0].is.To)))
	ttls := slices.Sorted(maps.Keys(byTTL))
	reached := false
	var way []string // who answered, hop by hop; empty: nobody
	for i, ttl := range ttls {
		hop := byTTL[ttl]
		times, from, reply := "", "", ""
		for _, e := range hop {
			if e.is.From == "" || e.is.Error != "" {
				times += padLeft("*", timeWidth)
				continue
			}
			times += padLeft(seconds(e.is.Duration), timeWidth)
			from, reply = e.is.From, e.is.Reply
		}
		way = append(way, from)
		w := say(padLeft(strconv.Itoa(ttl), 3) + "  ")
		switch {
		case from == "":
			w = w.in(bad, "nobody answered")
		default:
			w = w.add(t.run.who.at(hop[0].Node, from))
		}
		switch reply {
		case "echo-reply":
			reached = true
			w = w.in(good, "  the destination")
		case "destination-unreachable":
			w = w.in(bad, "  destination unreachable")
		}
		t.put(sent(hop[0]), branch(i, len(ttls)), w, times)
	}
	circle := goesRound(way)
	switch {
	case reached:
		t.note("", say("reached after "+count(len(ttls)-1, "router")))
	case len(circle) > 0:
		w := in(bad, "not reached").say(": the packets go round in a circle: ")
		for _, from := range circle {
			w = w.add(t.run.who.short(all[0].Node, from)).say(" → ")
		}
		t.note("", w.add(t.run.who.short(all[0].Node, circle[0])))
	default:
		t.note("", in(bad, "not reached").say(": the way ends after the last address above"))
	}
}

// goesRound returns the routers of the circle that a way gets into; nil where it does not.
func goesRound(way []string) []string {
	for i, from := range way {
		if next := slices.Index(way[i+1:], from); from != "" && next >= 0 {
			return way[i : i+1+next]
		}
	}
	return nil
}
