package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scenario/nodes/role"
	"scenario/pki"
)

// Certificate is a certificate of a node, from the scenario's authority unless its flaw is that it is not.
type Certificate struct {
	pki.Certificate
	For  []string  `json:"for"`            // DNS names and addresses; localhost and its addresses are left out
	Flaw role.Flaw `json:"flaw,omitempty"` // what is wrong with it on purpose
}

// issuer gives the nodes of a plan their certificates.
type issuer struct {
	trusted, unknown *pki.Authority
	routers          []*Router
	outside          map[*Router]map[string][]netip.Addr // of a router: its own addresses by interface
	issued           bool
}

// wrongName is what certificates are for whose flaw is that (RFC 2606: no node has it).
const wrongName = "wrong-name.invalid"

// certify issues the certificates that roles ask for, and those of programs on nodes with names.
func (c *compiler) certify(plan *Plan) error {
	is, err := newIssuer(plan)
	if err != nil {
		return err
	}
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		for j := range n.Roles {
			r := &n.Roles[j]
			k := slices.IndexFunc(c.spec.kinds, func(k role.Kind) bool { return k.Name == r.Name })
			if k < 0 || c.spec.kinds[k].Certificate == nil {
				continue
			}
			if asked := c.spec.kinds[k].Certificate(r.Options); asked != nil {
				if r.Certificate, err = is.issue(n, *asked); err != nil {
					return fmt.Errorf("node %s: role %s: %w", n.Name, r.Name, err)
				}
			}
		}
		if n.Program != nil && len(n.Names) > 0 {
			if n.Program.Certificate, err = is.issue(n, role.Certificate{}); err != nil {
				return fmt.Errorf("node %s: %w", n.Name, err)
			}
		}
	}
	if is.issued {
		plan.Authority = is.trusted.PEM()
	}
	return nil
}

func newIssuer(plan *Plan) (*issuer, error) {
	is := &issuer{outside: make(map[*Router]map[string][]netip.Addr)}
	var err error
	if is.trusted, err = pki.NewAuthority(plan.Seed, "scenario "+plan.Name); err != nil {
		return nil, err
	}
	if is.unknown, err = pki.NewAuthority(plan.Seed, "an authority that nobody trusts"); err != nil {
		return nil, err
	}
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		if n.Router == nil || len(n.Router.Forwards) == 0 {
			continue
		}
		is.routers = append(is.routers, n.Router)
		own := make(map[string][]netip.Addr)
		for _, itf := range n.Interfaces {
			own[itf.Name] = addressesOf(itf)
		}
		is.outside[n.Router] = own
	}
	return is, nil
}

// issue makes a certificate for all names and addresses of a node.
func (is *issuer) issue(n *Node, asked role.Certificate) (*Certificate, error) {
	is.issued = true
	request := pki.Request{Addresses: is.addresses(n)}
	for _, name := range slices.Concat(n.Names, asked.Names) {
		if name = strings.TrimSuffix(name, "."); name != "" && !slices.Contains(request.Names, name) {
			request.Names = append(request.Names, name)
		}
	}
	made := &Certificate{Flaw: asked.Flaw, For: slices.Clone(request.Names)}
	for _, addr := range request.Addresses {
		made.For = append(made.For, addr.String())
	}
	request.Names = append(request.Names, "localhost")
	request.Addresses = append(request.Addresses, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
	authority := is.trusted
	switch asked.Flaw {
	case role.NoFlaw:
	case role.Expired: // before virtual time begins
		request.NotAfter = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)
	case role.NotYetValid:
		request.NotBefore = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	case role.WrongName:
		request.Names, request.Addresses = []string{wrongName}, nil
		made.For = request.Names
	case role.SelfSigned:
		request.SelfSigned = true
	case role.Untrusted:
		authority = is.unknown
	default:
		return nil, fmt.Errorf("certificates have no flaw %q", asked.Flaw)
	}
	var err error
	made.Certificate, err = authority.Issue(request)
	return made, err
}

// addresses are the node's own, and those of routers whose port forwards lead to it, by way of others too.
func (is *issuer) addresses(n *Node) []netip.Addr {
	var found []netip.Addr
	for _, itf := range n.Interfaces {
		found = append(found, addressesOf(itf)...)
	}
	for i := 0; i < len(found); i++ { // found grows on the way
		for _, r := range is.routers {
			for _, f := range r.Forwards {
				if f.To.Addr() != found[i] {
					continue
				}
				for _, addr := range is.outside[r][f.Interface] {
					if familyOf(addr) == familyOf(found[i]) && !slices.Contains(found, addr) {
						found = append(found, addr)
					}
				}
			}
		}
	}
	return found
}

func addressesOf(itf Interface) []netip.Addr {
	addresses := make([]netip.Addr, len(itf.Addresses))
	for i, prefix := range itf.Addresses {
		addresses[i] = prefix.Addr()
	}
	return addresses
}
