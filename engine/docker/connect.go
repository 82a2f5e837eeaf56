package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// connecting keeps testcontainers from racing on the environment while it reads its configuration.
var connecting sync.Mutex

// connect returns a provider whose engine has answered.
func connect(ctx context.Context) (*testcontainers.DockerProvider, error) {
	connecting.Lock()
	defer connecting.Unlock()
	wanted, err := wantedHost()
	if err != nil {
		return nil, err
	}
	// Testcontainers would pass over an engine that does not answer, and take the next that does.
	if err := ping(ctx, wanted); err != nil {
		return nil, explain(wanted, err)
	}
	// The reaper of testcontainers would have to be pulled, and leases do its work. Its only switch is this variable.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return nil, err
	}
	log.SetDefault(silent{})
	provider, err := testcontainers.NewDockerProvider(
		testcontainers.WithLogger(silent{}),
		// Without it testcontainers makes a network of its own and attaches every container to it.
		testcontainers.WithDefaultBridgeNetwork(testcontainers.Bridge),
	)
	if err != nil {
		return nil, explain(wanted, err)
	}
	if _, err := provider.Client().Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, explain(wanted, err)
	}
	return provider, nil
}

// silent drops what testcontainers would print: progress goes to the run's output.
type silent struct{}

func (silent) Printf(string, ...any) {}

// ping asks the engine at host whether it is there; empty: the one at the default socket is left to testcontainers.
func ping(ctx context.Context, host string) error {
	if host == "" {
		return nil
	}
	api, err := client.New(client.FromEnv, client.WithHost(host))
	if err != nil {
		return err
	}
	defer api.Close()
	_, err = api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	return err
}

// wantedHost is the engine that the user names by DOCKER_HOST or a Docker context; empty: none.
func wantedHost() (string, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		var err error
		if host, err = contextHost(); err != nil {
			return "", err
		}
	}
	if strings.HasPrefix(host, "ssh://") {
		return "", fmt.Errorf("the Docker engine at %s: ssh is not spoken here: forward its socket (ssh -N -L /tmp/docker.sock:/var/run/docker.sock HOST) and set DOCKER_HOST=unix:///tmp/docker.sock", host)
	}
	return host, nil
}

// contextHost is the engine of the current Docker context, as the docker command keeps it in its folder; empty: the
// default one.
func contextHost() (string, error) {
	folder := os.Getenv("DOCKER_CONFIG")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // nobody's home: no context
		}
		folder = filepath.Join(home, ".docker")
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		if err := readJSON(filepath.Join(folder, "config.json"), &config); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return "", nil
	}
	id := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := readJSON(filepath.Join(folder, "contexts", "meta", hex.EncodeToString(id[:]), "meta.json"), &meta); err != nil {
		return "", fmt.Errorf("docker context %s: %w", name, err)
	}
	return meta.Endpoints["docker"].Host, nil
}

func readJSON(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// explain turns an error of connecting into one that says what to do.
func explain(host string, err error) error {
	where, advice := host, "check DOCKER_HOST or the Docker context"
	if host == "" {
		where, advice = "the default socket", "is Docker installed and running? DOCKER_HOST names another engine"
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, fs.ErrPermission), strings.Contains(err.Error(), "permission denied"):
		advice = "add yourself to the group docker (sudo usermod -aG docker $USER, then log in again), or use rootless Docker"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		advice = "start it (sudo systemctl start docker), or set DOCKER_HOST to one that runs"
	case errors.As(err, &dns):
		advice = "check the host name in DOCKER_HOST"
	case strings.Contains(err.Error(), "is too new"), strings.Contains(err.Error(), "is too old"):
		advice = "its API version does not fit: update Docker, or unset DOCKER_API_VERSION"
	}
	return &absence{where, advice, err}
}

// absence is the error of a Docker engine that is not there.
type absence struct {
	where, advice string
	err           error
}

func (a *absence) Error() string {
	return fmt.Sprintf("no Docker engine at %s: %s: %v", a.where, a.advice, a.err)
}

func (a *absence) Unwrap() error { return a.err }

// Answers returns an error where no Docker engine can be used, which says in a few words why.
func (e *Engine) Answers(ctx context.Context) error {
	provider, err := e.connect(ctx)
	if absent, ok := errors.AsType[*absence](err); ok && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("no Docker engine answers at %s", absent.where)
	}
	if err != nil {
		return err
	}
	return provider.Close() // whoever asks may never start anything
}
