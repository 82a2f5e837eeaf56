package cli

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"
)

// seed is the value of --seed; nil where it was not given.
type seed struct{ value *uint64 }

var _ pflag.Value = (*seed)(nil)

func (s *seed) String() string {
	if s.value == nil {
		return ""
	}
	return strconv.FormatUint(*s.value, 10)
}

func (s *seed) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return errors.New("a number from 0 to 18446744073709551615 is needed")
	}
	s.value = &n
	return nil
}

func (s *seed) Type() string { return "number" }
