package policy

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"
)

// Integrity is what the attribute integrity says that a body is (Subresource Integrity, section 3.3). The zero value says
// nothing.
type Integrity struct {
	algorithm string
	digests   [][]byte
}

// maxDigests bounds the digests that are read of an attribute.
const maxDigests = 32

// ParseIntegrity reads the attribute. Of several algorithms the strongest counts; what is unknown is left out.
func ParseIntegrity(text string) Integrity {
	var all Integrity
	for item := range strings.FieldsSeq(text) {
		expression, _, _ := strings.Cut(item, "?")
		algorithm, encoded, _ := strings.Cut(expression, "-")
		algorithm = strings.ToLower(algorithm)
		if newDigest(algorithm) == nil || algorithm < all.algorithm {
			continue
		}
		encoded = strings.NewReplacer("-", "+", "_", "/").Replace(encoded)
		digest, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			digest = nil // it matches nothing
		}
		if algorithm > all.algorithm {
			all = Integrity{algorithm: algorithm}
		}
		if len(all.digests) < maxDigests {
			all.digests = append(all.digests, digest)
		}
	}
	return all
}

func newDigest(algorithm string) hash.Hash {
	switch algorithm { // by strength in the order of their names
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// Empty says that nothing is to be checked.
func (i Integrity) Empty() bool { return i.algorithm == "" }

// Hash takes the body as it is read; nil where nothing is to be checked.
func (i Integrity) Hash() hash.Hash { return newDigest(i.algorithm) }

// Refused says why a body whose bytes h has taken is not what it should be; nil: it is. A body that the page may not read
// cannot be checked.
func (i Integrity) Refused(h hash.Hash, t Tainting) *Refusal {
	if i.Empty() {
		return nil
	}
	if t == Opaque {
		return &Refusal{"integrity", "the body of another origin can only be checked where it is asked for with crossorigin"}
	}
	sum := h.Sum(nil)
	for _, digest := range i.digests {
		if bytes.Equal(sum, digest) {
			return nil
		}
	}
	return &Refusal{"integrity", "the body's " + i.algorithm + " is " + base64.StdEncoding.EncodeToString(sum) + ", which the page does not expect"}
}
