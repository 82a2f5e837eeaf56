package loads_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/record"
	"scenario/report/loads"
	"scenario/topology"
)

// tape records what nodes emit, a millisecond between any two.
type tape struct {
	now     time.Time
	records []event.Record
}

func (t *tape) log(node string) *slog.Logger {
	return event.NewLogger(node, event.SinkFunc(func(r event.Record) {
		t.now = t.now.Add(time.Millisecond)
		r.Time = t.now
		t.records = append(t.records, r)
	}))
}

// fetch emits a request, its response and their sum below ctx.
func (t *tape) fetch(ctx context.Context, node, url string, status int) {
	sent := event.Begin(ctx, t.log(node), event.HTTPRequest{Side: event.SideClient, Method: "GET", URL: url})
	_, id := event.Cause(sent)
	event.Emit(sent, t.log(node), event.HTTPResponse{Side: event.SideClient, URL: url, Status: status})
	event.Emit(ctx, t.log(node), event.HTTPFetch{URL: url, Status: status, Request: id, Start: t.now.Sub(time.Unix(0, 0)).Seconds()})
}

// TestFind sorts what two browsers and two page loads of one step tell at the same time. R36
func TestFind(t *testing.T) {
	tape := &tape{now: time.Unix(0, 0)}
	open := func(step, node, url string) context.Context {
		ctx := event.WithTrace(t.Context(), event.StepTrace+step, step+"."+node+url)
		return event.Begin(ctx, tape.log(node), event.PageMilestone{Milestone: "url", URL: url})
	}
	one := open("1", "a", "http://one/")
	other := open("1", "b", "http://one/")
	two := open("1", "a", "http://two/")
	asset := event.Begin(one, tape.log("a"), event.HTMLAsset{URL: "http://one/x"})
	tape.fetch(two, "a", "http://two/", 200)
	tape.fetch(other, "b", "http://one/", 404)
	tape.fetch(asset, "a", "http://one/x", 304)
	event.Emit(asset, tape.log("a"), event.HTTPFetch{URL: "http://one/y", From: "cache", Start: 9})
	event.Emit(one, tape.log("a"), event.PageLoad{URL: "http://one/"})
	plan := &topology.Plan{
		Nodes: []topology.Node{{Name: "b", Roles: []topology.Role{{Name: "client"}, {Name: "chromium"}}}},
		Steps: []topology.Step{{ID: "0", Parallel: []topology.Step{{ID: "1", Node: "a", Role: "browser"}}}},
	}
	all := loads.Find(&record.Recording{Plan: plan, Records: tape.records})
	var got []string
	for _, l := range all {
		text := l.Step + " " + l.Node + " " + l.Role + " " + l.URL
		if l.Sum != nil {
			text += " ended"
		}
		for _, f := range l.Fetches {
			text += " | " + f.URL
			if f.Request != nil && f.Response != nil && f.Request.URL == f.URL && f.Response.Status == f.Status {
				text += " answered"
			}
		}
		got = append(got, text)
	}
	want := []string{
		"1 a browser http://one/ ended | http://one/x answered | http://one/y",
		"1 b chromium http://one/ | http://one/ answered",
		"1 a browser http://two/ | http://two/ answered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1-a", "1-b", "1-a-2"}, loads.Names(all)); diff != "" {
		t.Errorf("names, -want +got:\n%s", diff)
	}
}

// TestWithoutBeginning sorts requests of browsers that do not tell when their page load begins: each node's of a step are
// one load. The page itself is first among those that began at one time.
func TestWithoutBeginning(t *testing.T) {
	tape := &tape{now: time.Unix(0, 0)}
	ctx := event.WithTrace(t.Context(), event.StepTrace+"1", "")
	for _, f := range []event.HTTPFetch{
		{URL: "http://one/x", Page: "http://one/", Destination: "image", Wait: 0.001},
		{URL: "http://one/", Page: "http://one/", Destination: "document", Wait: 0.002},
		{URL: "http://one/y", Page: "http://one/", Destination: "image", Start: -1e300, Wait: 1e300},
	} {
		event.Emit(ctx, tape.log("chrome"), f)
	}
	all := loads.Find(&record.Recording{Records: tape.records})
	if len(all) != 1 || len(all[0].Fetches) != 3 || all[0].URL != "http://one/" || all[0].Fetches[1].Destination != "document" {
		t.Errorf("%+v", all)
	}
	if all[0].Document() == nil || all[0].Document().URL != "http://one/" {
		t.Errorf("document %+v", all[0].Document())
	}
}

// TestNames makes names that are safe in a file system, whatever steps are called, and that differ.
func TestNames(t *testing.T) {
	all := []loads.Load{
		{Step: "../../etc", Node: "a"}, {Step: "Straße 1", Node: "a"}, {Step: "straße 1", Node: "a"}, {}, {Step: "x", Node: "a-2"},
		{Step: "x-a", Node: ""}, {Step: "x", Node: "a"}, {Step: "x", Node: "a"},
	}
	want := []string{"_.._etc-a", "Stra_e_1-a", "stra_e_1-a-2", "page", "x-a-2", "x-a", "x-a-3", "x-a-4"}
	if diff := cmp.Diff(want, loads.Names(all)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
