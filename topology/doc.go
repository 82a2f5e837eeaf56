// Package topology turns a scenario file into a plan: parse, validate, compile. It does no I/O.
//
//	src ─Parse→ Spec (what the user wrote, with positions) ─Compile(seed)→ Plan (what is to be done)
package topology
