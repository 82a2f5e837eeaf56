package nat

import "time"

// FullCone lets everybody in at an outside port that is in use (RFC 3489, section 5; in the terms of RFC 4787:
// endpoint-independent mapping and filtering).
func FullCone() Behaviour { return cone(Independent) }

// RestrictedCone lets in at an outside port the addresses that its node has sent to from there.
func RestrictedCone() Behaviour { return cone(ByAddress) }

// PortRestrictedCone lets in at an outside port the addresses and ports that its node has sent to from there.
func PortRestrictedCone() Behaviour { return cone(ByConnection) }

// Symmetric has another outside port, and a random one, for each destination, and lets nobody else in there.
func Symmetric() Behaviour {
	b := cone(ByConnection)
	b.Mapping, b.Ports = ByConnection, Random
	return b
}

// cone maps independently of the destination, with what RFC 4787 asks of every NAT beside: hairpins (REQ-9), and time-outs
// of five minutes for UDP (REQ-5).
func cone(filtering Dependence) Behaviour {
	const udp = 5 * time.Minute
	return Behaviour{
		Mapping: Independent, Filtering: filtering, Ports: Preserve, Hairpin: true,
		Timeouts: Timeouts{UDP: udp, UDPStream: udp},
	}
}
