package soft

// Join puts segments together as a card does with what has arrived.
func Join(frames ...Frame) []Frame {
	var joined []Frame
	for i := 0; i < len(frames); {
		var j joiner
		j.start(frames[i])
		for i++; i < len(frames) && j.add(&frames[i]); i++ {
		}
		joined = append(joined, j.done())
	}
	return joined
}

// Parse says whether headers make sense, and where the transport header is.
func Parse(head []byte) (transport int, ok bool) {
	l, ok := parse(head)
	return l.transport, ok
}
