package soft

// flow is a number for the packets of one direction of a connection, such as would be spread over queues by (RFC 6438,
// section 2): it depends on addresses, protocol and ports. Of what is no IP packet it depends on the whole head.
func (f *Frame) flow() uint64 {
	head := f.Head.AsSlice()
	l, ok := parse(head)
	if !ok {
		return fnv(fnvOffset, head)
	}
	sum := fnv(fnvOffset, l.addresses(head))
	sum = fnv(sum, []byte{l.protocol})
	if !l.fragment && len(head) >= l.transport+4 {
		sum = fnv(sum, head[l.transport:l.transport+4])
	}
	return sum
}

// The constants of FNV-1a with 64 bits: package hash/fnv would allocate.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnv(sum uint64, data []byte) uint64 {
	for _, b := range data {
		sum = (sum ^ uint64(b)) * fnvPrime
	}
	return sum
}
