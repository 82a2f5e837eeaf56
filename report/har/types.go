// Package har makes HAR 1.2 files (HTTP Archive, http://www.softwareishard.com/blog/har-12-spec/) of page loads.
//
// What the format has no place for stands where Chromium's DevTools put it and read it from, in fields that begin with an
// underscore. Times are milliseconds, -1 stands for what does not apply or is not known.
package har

// File is a HAR file.
type File struct {
	Log Log `json:"log"`
}

// Log is what a HAR file holds: one page load.
type Log struct {
	Version string  `json:"version"`
	Creator Program `json:"creator"`
	Browser Program `json:"browser"`
	Pages   []Page  `json:"pages"`
	Entries []Entry `json:"entries"`
	Comment string  `json:"comment,omitempty"`
}

// Program is what made the file, or loaded the page.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Page is a page load.
type Page struct {
	Started string  `json:"startedDateTime"` // RFC 3339
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Timings Moments `json:"pageTimings"`
}

// Moments are counted from the start of the page load.
type Moments struct {
	ContentLoad float64 `json:"onContentLoad"`
	Load        float64 `json:"onLoad"`
}

// Entry is one request with its response.
type Entry struct {
	Page         string     `json:"pageref"`
	Started      string     `json:"startedDateTime"`
	Time         float64    `json:"time"`
	Request      Request    `json:"request"`
	Response     Response   `json:"response"`
	Cache        Cache      `json:"cache"`
	Timings      Timings    `json:"timings"`
	ServerIP     string     `json:"serverIPAddress,omitempty"`
	Connection   string     `json:"connection,omitempty"`
	Comment      string     `json:"comment,omitempty"`
	Initiator    *Initiator `json:"_initiator,omitempty"`
	Priority     string     `json:"_priority"`
	ResourceType string     `json:"_resourceType"`
	FromCache    string     `json:"_fromCache,omitempty"`
}

// Request is what was sent, or would have been.
type Request struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []Cookie  `json:"cookies"`
	Headers     []Pair    `json:"headers"`
	Query       []Pair    `json:"queryString"`
	PostData    *PostData `json:"postData,omitempty"`
	HeadersSize int64     `json:"headersSize"`
	BodySize    int64     `json:"bodySize"`
}

// Response is what came back; its status is 0 where nothing did.
type Response struct {
	Status       int      `json:"status"`
	StatusText   string   `json:"statusText"`
	HTTPVersion  string   `json:"httpVersion"`
	Cookies      []Cookie `json:"cookies"`
	Headers      []Pair   `json:"headers"`
	Content      Content  `json:"content"`
	RedirectURL  string   `json:"redirectURL"`
	HeadersSize  int64    `json:"headersSize"`
	BodySize     int64    `json:"bodySize"`
	TransferSize int64    `json:"_transferSize"`
	Error        *string  `json:"_error"`
}

// Pair is a header field, or a parameter.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Cookie is one of a Cookie field, where it has but a name and a value, or of a Set-Cookie field.
type Cookie struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Path     string `json:"path,omitempty"`
	Domain   string `json:"domain,omitempty"`
	Expires  string `json:"expires,omitempty"` // RFC 3339
	HTTPOnly bool   `json:"httpOnly"`
	Secure   bool   `json:"secure"`
	SameSite string `json:"sameSite,omitempty"`
}

// PostData is the body of a request.
type PostData struct {
	MIMEType string `json:"mimeType"`
	Params   []Pair `json:"params,omitempty"`
	Text     string `json:"text"`
}

// Content is the body of a response behind its content coding.
type Content struct {
	Size        int64  `json:"size"`
	Compression int64  `json:"compression,omitempty"` // bytes that the coding saved
	MIMEType    string `json:"mimeType"`
	Text        string `json:"text,omitempty"`
	Encoding    string `json:"encoding,omitempty"` // base64, of Text that is no text
	Comment     string `json:"comment,omitempty"`
}

// Cache is what the browser's cache held; nil: nothing, or nobody knows.
type Cache struct {
	Before *CacheEntry `json:"beforeRequest,omitempty"`
	After  *CacheEntry `json:"afterRequest,omitempty"`
}

// CacheEntry is a response that a cache holds.
type CacheEntry struct {
	Expires    string `json:"expires,omitempty"` // RFC 3339
	LastAccess string `json:"lastAccess"`
	ETag       string `json:"eTag"`
	Hits       int    `json:"hitCount"`
}

// Timings are the phases of a request, one after the other; SSL is a part of Connect.
type Timings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// Initiator is what asked for a resource.
type Initiator struct {
	Type string `json:"type"` // parser, script, other
	URL  string `json:"url,omitempty"`
}
