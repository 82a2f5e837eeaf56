package cookie

import (
	"fmt"
	"slices"
)

// Limits of a jar. RFC 6265bis, section 6.1, asks for at least 50 cookies of a domain and 3000 in all; these are
// Chromium's, which counts by site, and in a partition the bytes as well.
const (
	maxPerSite        = 180
	maxTotal          = 3000
	maxPartitionBytes = 10 << 10 // of names and values of one site in one partition
)

// evict removes what is too much now that the cookie c is there (RFC 6265bis, section 5.7): of its site first the cookies
// without Secure, then the others; of the whole jar any. Among equals that goes which was used the longest ago.
func (j *Jar) evict(c *entry) []Change {
	var gone []Change
	sibling := func(o *entry) bool { return o.site == c.site && o.Partition == c.Partition }
	open := func(o *entry) bool { return sibling(o) && !o.Secure }
	for {
		reason := j.excess(c, sibling)
		if reason == "" {
			break
		}
		oldest, which := j.oldest(open), "of those without Secure "
		if oldest < 0 {
			oldest, which = j.oldest(sibling), ""
		}
		gone = append(gone, j.drop(oldest, reason+", and "+which+"this one was used the longest ago"))
	}
	for len(j.cookies) > maxTotal {
		reason := fmt.Sprintf("the jar holds no more than %d cookies, and this one was used the longest ago", maxTotal)
		gone = append(gone, j.drop(j.oldest(func(*entry) bool { return true }), reason))
	}
	return gone
}

// excess says what the site of c has too much of; empty: nothing.
func (j *Jar) excess(c *entry, sibling func(*entry) bool) string {
	count, size := 0, 0
	for _, o := range j.cookies {
		if sibling(o) {
			count++
			size += len(o.Name) + len(o.Value)
		}
	}
	switch {
	case count > maxPerSite:
		return fmt.Sprintf("the jar holds no more than %d cookies of %s", maxPerSite, c.site)
	case c.Partition != (Partition{}) && size > maxPartitionBytes:
		return fmt.Sprintf("%s has no more than %d bytes of cookies in the part for pages of %s", c.site, maxPartitionBytes, c.Partition.TopSite)
	}
	return ""
}

// oldest is the index of the cookie that was used the longest ago; -1: there is none.
func (j *Jar) oldest(of func(*entry) bool) int {
	oldest := -1
	for i, o := range j.cookies {
		if of(o) && (oldest < 0 || o.Accessed.Before(j.cookies[oldest].Accessed)) {
			oldest = i
		}
	}
	return oldest
}

func (j *Jar) drop(i int, reason string) Change {
	change := Change{Kind: Evicted, Cookie: j.cookies[i].Cookie, Reason: reason}
	j.cookies = slices.Delete(j.cookies, i, i+1)
	return change
}
