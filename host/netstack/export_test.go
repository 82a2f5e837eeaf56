package netstack

// ParseICMP is for tests.
func ParseICMP(v6 bool, b []byte) bool {
	_, ok := parseICMP(v6, b)
	return ok
}
