package report

import (
	"cmp"
	"slices"
	"time"

	"scenario/event"
)

// visit is a page load: what a browse step did, sorted by what the page was and what it needed.
type visit struct {
	url        string      // as typed
	documents  []*exchange // the page, after the redirects that led to it
	rest       []*exchange // everything else, in order
	assets     []seen[event.HTMLAsset]
	milestones []seen[event.PageMilestone]
	load       *seen[event.PageLoad] // nil: the load did not end
}

// isPage says whether the step loads a page.
func (s *step) isPage() bool {
	return s.Action == "browse" || has[event.PageLoad](s) || has[event.PageMilestone](s) || has[event.HTMLAsset](s)
}

func newVisit(s *step, sent []*exchange) visit {
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
	if len(sent) == 0 {
		return v
	}
	v.documents, v.rest = sent[:1:1], sent[1:]
	v.url = cmp.Or(v.url, sent[0].request.URL)
	for last := sent[0]; last.redirects(); {
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
