package sock

// Show is what an event shows of data.
func (t Telling) Show(p []byte) (data, base string, truncated int64) { return t.show(p) }
