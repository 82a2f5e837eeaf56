package capture

import (
	"encoding/binary"
	"math"
	"strings"
)

// Numbers of the format.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	blockSecrets   = 10

	byteOrderMagic = 0x1a2b3c4d
	linkEthernet   = 1          // LINKTYPE_ETHERNET, and 16 bits reserved
	secretsTLS     = 0x544c534b // "TLSK"

	optionEnd         = 0
	optionComment     = 1
	optionFlags       = 2 // of a packet
	optionName        = 2 // of an interface
	optionDescription = 3
	optionApplication = 4
	optionResolution  = 9
)

// block is a block in the making: little-endian numbers of 32 bits, and bytes filled up to whole numbers.
type block []byte

func (b *block) number(numbers ...uint32) {
	for _, n := range numbers {
		*b = binary.LittleEndian.AppendUint32(*b, n)
	}
}

func (b *block) bytes(parts ...[]byte) {
	for _, part := range parts {
		*b = append(*b, part...)
	}
	b.fillUp()
}

// option adds an option, unless it is empty. What is longer than an option can be is cut short.
func (b *block) option(code uint32, value string) {
	if value == "" {
		return
	}
	if len(value) > math.MaxUint16 {
		value = strings.ToValidUTF8(value[:math.MaxUint16], "")
	}
	b.number(code | uint32(len(value))<<16)
	*b = append(*b, value...)
	b.fillUp()
}

func (b *block) endOptions() { b.number(optionEnd) }

// fillUp adds zeros; every block starts on a whole number, and so does all in it.
func (b *block) fillUp() {
	for len(*b)%4 != 0 {
		*b = append(*b, 0)
	}
}
