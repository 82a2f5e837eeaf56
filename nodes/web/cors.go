package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"scenario/nodes/role"
)

// CORS says which other origins may see a response (Fetch, section 3.3).
type CORS struct {
	Origins     []string      `json:"origins" jsonschema_description:"who may: origins such as https://shop.example, or *"`
	Methods     []string      `json:"methods,omitempty" jsonschema_description:"methods that may be used, beside GET, HEAD and POST"`
	Headers     []string      `json:"headers,omitempty" jsonschema_description:"header fields that requests may have, beside the safe ones"`
	Credentials bool          `json:"credentials,omitempty" jsonschema_description:"cookies may be sent"`
	MaxAge      role.Duration `json:"max_age,omitempty" jsonschema_description:"how long the browser need not ask again"`
	Expose      []string      `json:"expose,omitempty" jsonschema_description:"header fields of the response that scripts may see, beside the safe ones"`
}

// UnmarshalJSON reads one origin, or an object.
func (c *CORS) UnmarshalJSON(text []byte) error {
	var origin string
	if json.Unmarshal(text, &origin) == nil {
		c.Origins = []string{origin}
		return nil
	}
	type object CORS
	return strict(text, (*object)(c))
}

// JSONSchemaExtend adds the short form to the schema of the object.
func (CORS) JSONSchemaExtend(schema *jsonschema.Schema) {
	object := *schema
	*schema = jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, &object}}
}

// allow sets the fields of a response to a request of another origin. It returns whether the request was the question that
// a browser asks first (a preflight), and is answered by that.
func (c *CORS) allow(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != ""
	anybody := slices.Contains(c.Origins, "*")
	if !anybody || c.Credentials {
		w.Header().Add("Vary", "Origin")
	}
	if origin == "" {
		return false
	}
	header := w.Header()
	switch allowed := anybody || slices.Contains(c.Origins, origin); {
	case !allowed && preflight:
		sendPage(w, r, http.StatusForbidden)
		return true
	case !allowed:
		return false
	case anybody && !c.Credentials:
		header.Set("Access-Control-Allow-Origin", "*")
	default:
		// With credentials the * has no meaning (Fetch, section 3.3.5): the origin itself is named.
		header.Set("Access-Control-Allow-Origin", origin)
	}
	if c.Credentials {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	if !preflight {
		if len(c.Expose) > 0 {
			header.Set("Access-Control-Expose-Headers", strings.Join(c.Expose, ", "))
		}
		return false
	}
	if len(c.Methods) > 0 {
		header.Set("Access-Control-Allow-Methods", strings.Join(c.Methods, ", "))
	}
	if len(c.Headers) > 0 {
		header.Set("Access-Control-Allow-Headers", strings.Join(c.Headers, ", "))
	}
	if c.MaxAge > 0 {
		header.Set("Access-Control-Max-Age", strconv.Itoa(int(time.Duration(c.MaxAge).Seconds())))
	}
	send(w, r, http.StatusNoContent, "", nil)
	return true
}
