// Package topology turns a scenario file into a plan: parse, validate, compile. It does no I/O.
//
//	src ─Parse→ Spec (what the user wrote, with positions) ─Compile(seed)→ Plan (what is to be done)
//
// Parse reads YAML once into values with places (yaml.go), validates them against the JSON Schema that is made from the
// types of Spec and from the kinds of roles (schema.go, violations.go), fills Spec by the same types (spec.go, scalars.go,
// decode.go) and checks what refers to what (parse.go, steps.go, stages.go). Compile gives networks their subnets
// (subnets.go), nodes their addresses (addresses.go) and routes (graph.go, routes.go, gateways.go), NAT its ports
// (forwards.go), zones their records (dns.go, records.go) and nodes their resolvers (resolvers.go, by reach.go), and puts
// it all together (assemble.go). Every mistake that either finds is told at once, at its place (errors.go).
package topology
