package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"scenario/nodes/role"
	"scenario/topology"
)

// reach is what one node of a plan has of the machine beyond what nodes of ours have. See docs/security.md.
type reach struct {
	Node    string            `json:"node"`
	Image   string            `json:"image,omitempty"`
	RootFS  string            `json:"rootfs,omitempty"`
	For     string            `json:"for,omitempty"`
	Needs   []role.Program    `json:"needs,omitempty"`
	Volumes []topology.Volume `json:"volumes,omitempty"`
}

func (r reach) String() string {
	var parts []string
	if r.Image != "" {
		parts = append(parts, "runs the image "+r.Image)
	}
	switch {
	case r.For != "":
		parts = append(parts, "runs programs of this machine (role "+r.For+")")
	case r.RootFS != "":
		parts = append(parts, "runs programs of this machine (rootfs: "+r.RootFS+")")
	}
	for _, volume := range r.Volumes {
		parts = append(parts, "gets a copy of "+volume.Source)
	}
	return r.Node + " " + strings.Join(parts, ", ")
}

// reaches lists the nodes that reach further than nodes of ours.
func reaches(plan *topology.Plan) []reach {
	var all []reach
	for _, node := range plan.Nodes {
		if p := node.Program; p != nil {
			all = append(all, reach{Node: node.Name, Image: p.Image, RootFS: p.RootFS, For: p.For, Needs: p.Needs, Volumes: p.Volumes})
		}
	}
	return all
}

// trust returns nil where the plan may be started: its file is of the library or reaches no further than nodes of ours,
// the user says so with --trust, or said so before, or does now.
func (a *App) trust(plan *topology.Plan, src source, saidSo bool) error {
	all := reaches(plan)
	if len(all) == 0 || src.builtIn || saidSo {
		return nil
	}
	key, err := trustKey(src, all)
	if err != nil {
		return err
	}
	known, err := trusted()
	if err != nil {
		return err
	}
	if slices.Contains(known, key) {
		return nil
	}
	var list strings.Builder
	for _, r := range all {
		fmt.Fprintf(&list, "\n  %s", r)
	}
	if !terminal(a.Stdin) {
		return fmt.Errorf("%s reaches further than a scenario's own nodes do:%s\nstart it with --trust if you know where it comes from",
			src.name, list.String())
	}
	fmt.Fprintf(a.Stderr, "%s reaches further than a scenario's own nodes do:%s\nDo you trust it? [y/N] ", src.name, list.String())
	answer, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && answer == "" {
		return fmt.Errorf("no answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return errors.New("not started")
	}
	return remember(key)
}

// trustKey stands for a file and what it reaches: when either changes, the user is asked again.
func trustKey(src source, all []reach) (string, error) {
	path, err := filepath.Abs(src.name)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(path+"\n"), text...))
	return hex.EncodeToString(sum[:]), nil
}

// trustFile holds the keys of what the user trusts, one a line.
func trustFile() (string, error) {
	config, err := os.UserConfigDir()
	return filepath.Join(config, "scenario", "trusted"), err
}

func trusted() ([]string, error) {
	name, err := trustFile()
	if err != nil {
		return nil, nil // without a folder for configuration nothing was remembered
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

func remember(key string) error {
	name, err := trustFile()
	if err != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(key + "\n")
	return errors.Join(err, file.Close())
}
