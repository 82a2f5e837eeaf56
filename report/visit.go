package report

import (
	"cmp"
	"slices"
	"time"

	"scenario/event"
	"scenario/report/loads"
)

// visit is a page load: what a browse step did, sorted by what the page was and what it needed.
type visit struct {
	url        string      // as typed
	documents  []*exchange // the page, after the redirects that led to it
	rest       []*exchange // everything else, in order
	assets     []seen[event.HTMLAsset]
	milestones []seen[event.PageMilestone]
	load       *seen[event.PageLoad] // nil: the load did not end
	fetches    []loads.Fetch         // as the browser sums its requests up; none where it does not
}

// isPage says whether the step loads a page.
func (s *step) isPage() bool {
	return s.Action == "browse" || has[event.PageLoad](s) || has[event.PageMilestone](s) || has[event.HTMLAsset](s)
}

// visit is the step's, with what its browser sums up.
func (r *run) visit(s *step, sent []*exchange) visit {
	v := visit{
		url: s.Target, rest: sent,
		assets: pick[event.HTMLAsset](s.records), milestones: pick[event.PageMilestone](s.records),
	}
	if loads := pick[event.PageLoad](s.records); len(loads) > 0 {
		v.load = &loads[0]
	}
	for _, m := range v.milestones {
		if m.is.Milestone == "url" {
			v.url = m.is.URL
		}
	}
	for _, l := range r.loads {
		if l.Step == s.ID {
			v.fetches = append(v.fetches, l.Fetches...)
		}
	}
	first := v.firstDocument(sent)
	if first < 0 {
		return v
	}
	v.documents, v.rest = sent[first:first+1:first+1], slices.Delete(slices.Clone(sent), first, first+1)
	v.url = cmp.Or(v.url, sent[first].request.URL)
	for last := sent[first]; last.redirects(); {
		target := resolve(last.request.URL, last.response.is.Location)
		i := slices.IndexFunc(v.rest, func(x *exchange) bool { return sameURL(x.request.URL, target) })
		if i < 0 {
			break
		}
		last = v.rest[i]
		v.documents = append(v.documents, last)
		v.rest = slices.Delete(slices.Clone(v.rest), i, i+1)
	}
	return v
}

// firstDocument is the exchange that asked for the page first; -1 where none did: the cache had it, or no one answered.
func (v visit) firstDocument(sent []*exchange) int {
	if len(sent) == 0 {
		return -1
	}
	if len(v.fetches) == 0 {
		return 0
	}
	return slices.IndexFunc(sent, func(x *exchange) bool {
		return slices.ContainsFunc(v.fetches, func(f loads.Fetch) bool {
			return f.Destination == "document" && x.ID() != "" && f.HTTPFetch.Request == x.ID()
		})
	})
}

// fetch is the last one of that URL; nil where the browser tells of none.
func (v visit) fetch(url string) *loads.Fetch {
	for i, f := range slices.Backward(v.fetches) {
		if sameURL(f.URL, url) {
			return &v.fetches[i]
		}
	}
	return nil
}

// page is the document that the visit ended at; nil where it got none.
func (v visit) page() *exchange {
	if len(v.documents) == 0 {
		return nil
	}
	return v.documents[len(v.documents)-1]
}

// asset is the resource of that URL as the parser found it; nil where it did not.
func (v visit) asset(url string) *event.HTMLAsset {
	i := slices.IndexFunc(v.assets, func(a seen[event.HTMLAsset]) bool { return sameURL(a.is.URL, url) })
	if i < 0 {
		return nil
	}
	return &v.assets[i].is
}

// hosts are the hosts of everything but the page itself, in the order in which they were met.
func (v visit) hosts() []string {
	var all []string
	meet := func(url string) {
		if host := hostOf(url); !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	type met struct {
		at  time.Time
		url string
	}
	var order []met
	for _, a := range v.assets {
		order = append(order, met{a.Time, a.is.URL})
	}
	for _, x := range v.rest {
		order = append(order, met{x.Time, x.request.URL})
	}
	slices.SortStableFunc(order, func(a, b met) int { return a.at.Compare(b.at) })
	for _, m := range order {
		meet(m.url)
	}
	return all
}

// thirdParty says whether the page's site is not the host's, as the parser saw it.
func (v visit) thirdParty(host string) bool {
	return slices.ContainsFunc(v.assets, func(a seen[event.HTMLAsset]) bool {
		return a.is.ThirdParty && hostOf(a.is.URL) == host
	})
}
