package topology

import (
	"encoding/json"
	"errors"

	"scenario/nodes/role"
	"scenario/nodes/router"
)

// The kinds of the tests are small ones of their own, so that the format is tested without the roles.

type webOptions struct {
	Site   string `json:"site,omitempty"`
	Status int    `json:"status,omitempty" jsonschema:"minimum=100,maximum=599"`
	TLS    string `json:"tls,omitempty"` // a certificate's flaw, or "yes"
}

type chatOptions struct {
	Server bool `json:"server,omitempty"`
	Port   int  `json:"port,omitempty"`
}

type dnsOptions struct {
	Zones     map[string]dnsZone `json:"zones,omitempty" jsonschema_description:"The zones it serves."`
	Recursive bool               `json:"recursive,omitempty"`
	Hints     []string           `json:"hints,omitempty"`
	Listen    []string           `json:"listen,omitempty"`
	Ignore    []string           `json:"ignore,omitempty"`
}

type dnsZone struct {
	Records []string `json:"records,omitempty"`
	TTL     string   `json:"ttl,omitempty"`
}

type urlArgs struct {
	URL     string `json:"url" jsonschema:"required" jsonschema_description:"The address of the page."`
	Referer string `json:"referer,omitempty"`
}

type toArgs struct {
	To    string `json:"to" jsonschema:"required"`
	Count int    `json:"count,omitempty" jsonschema:"minimum=1"`
}

type sayArgs struct {
	Text string `json:"text" jsonschema:"required"`
}

func testKinds() []role.Kind {
	return []role.Kind{
		{Name: "web", Options: webOptions{}, Short: "site", New: newTestRole, Certificate: testCertificate},
		{Name: "browser", Options: struct{}{}, Actions: []role.Action{
			{Name: "browse", Args: urlArgs{}, Short: "url"},
			{Name: "clear_cookies"},
		}},
		{Name: "chat", Options: chatOptions{}, Actions: []role.Action{
			{Name: "join", Args: toArgs{}, Short: "to"},
			{Name: "say", Args: sayArgs{}, Short: "text"},
		}},
		{Name: "dns", Options: dnsOptions{}},
		{Name: "client", Actions: []role.Action{
			{Name: "fetch", Args: urlArgs{}, Short: "url"},
			{Name: "ping", Args: toArgs{}, Short: "to"},
			{Name: "traceroute", Args: toArgs{}, Short: "to"},
		}},
		router.Kind(),
	}
}

// testCertificate is for the node, and for its site.
func testCertificate(options json.RawMessage) *role.Certificate {
	var o webOptions
	if json.Unmarshal(options, &o) != nil || o.TLS == "" {
		return nil
	}
	asked := &role.Certificate{Flaw: role.Flaw(o.TLS)}
	if o.TLS == "yes" {
		asked.Flaw = role.NoFlaw
	}
	if o.Site != "" {
		asked.Names = []string{o.Site + ".example"}
	}
	return asked
}

// newTestRole refuses what no schema can.
func newTestRole(options json.RawMessage) (role.Role, error) {
	var o webOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	if o.Site == "nowhere" {
		return nil, errors.New(`there is no site "nowhere"`)
	}
	return nil, nil
}
