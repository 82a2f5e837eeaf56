package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"scenario/engine/docker/agent"
	"scenario/topology"
)

// Where programs of the user's find the scenario's certificates.
const (
	authorityFile   = "/etc/scenario/ca.pem"
	certificateFile = "/etc/scenario/cert.pem" // with those that lead to the authority
	keyFile         = "/etc/scenario/key.pem"
	// systemRoots is what most programs trust that are told nothing: GnuTLS, Go, and OpenSSL as distributions build it.
	systemRoots = "/etc/ssl/certs/ca-certificates.crt"
	// policyFolder is what Chromium takes orders from; it knows neither systemRoots nor a variable.
	policyFolder = "/etc/chromium/policies/managed"
)

// trustFiles are the files by which a program trusts the scenario's authority, and proves who its node is.
func trustFiles(authority string, program *topology.Program) []agent.File {
	if authority == "" {
		return nil
	}
	files := []agent.File{
		{Path: authorityFile, Data: []byte(authority)},
		{Path: systemRoots, Data: []byte(authority)},
		{Path: policyFolder + "/scenario.json", Data: chromiumPolicy(authority)},
	}
	if own := program.Certificate; own != nil {
		files = append(files, agent.File{Path: certificateFile, Data: []byte(own.Chain)}, agent.File{Path: keyFile, Data: []byte(own.Key)})
	}
	return files
}

// chromiumPolicy has Chromium trust an authority (https://chromeenterprise.google/policies/#CACertificates).
func chromiumPolicy(authority string) []byte {
	var certificates []string
	for block, rest := pem.Decode([]byte(authority)); block != nil; block, rest = pem.Decode(rest) {
		certificates = append(certificates, base64.StdEncoding.EncodeToString(block.Bytes))
	}
	policy, _ := json.Marshal(map[string][]string{"CACertificates": certificates}) // never fails: strings
	return policy
}

// environment is that of a node's programs: the file's variables, and those by which programs that bring a list of
// authorities of their own find the scenario's.
func environment(plan *topology.Plan, program *topology.Program) map[string]string {
	variables := make(map[string]string)
	if plan.Authority != "" {
		for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"} {
			variables[name] = authorityFile
		}
	}
	maps.Copy(variables, program.Environment)
	return variables
}

// copyFiles puts files into a container that has been made and not started.
func copyFiles(ctx context.Context, api client.APIClient, container string, files []agent.File) error {
	if len(files) == 0 {
		return nil
	}
	entries := make([]file, len(files))
	for i, f := range files {
		entries[i] = file{name: strings.TrimPrefix(f.Path, "/"), mode: 0o644, data: f.Data}
	}
	content, err := archive(entries)
	if err != nil {
		return err
	}
	where := client.CopyToContainerOptions{DestinationPath: "/", Content: bytes.NewReader(content)}
	if _, err := api.CopyToContainer(ctx, container, where); err != nil {
		return fmt.Errorf("copy certificates: %w", err)
	}
	return nil
}

// mountTrust gives a container of this machine's programs places for the files of trust, in place of what this machine has
// there: who is in a simulated network does not trust the Internet's authorities.
func mountTrust(h *container.HostConfig) {
	for _, name := range []string{authorityFile, systemRoots, policyFolder + "/"} {
		folder := path.Dir(name)
		h.Binds = slices.DeleteFunc(h.Binds, func(bind string) bool { return strings.HasPrefix(bind, folder+":") })
		h.Tmpfs[folder] = "mode=0755"
	}
}

// below lists what is in a folder of this machine, but for one entry.
func below(folder, but string) []string {
	entries, _ := os.ReadDir(folder) // where there is no folder there is nothing in it
	var names []string
	for _, entry := range entries {
		if name := filepath.Join(folder, entry.Name()); name != but {
			names = append(names, name)
		}
	}
	return names
}
