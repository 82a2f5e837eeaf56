package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// goWait is how long containers that have lost their lease may take to go before they are removed by force.
const goWait = 3 * time.Second

// removals are the ends of containers that will go by themselves.
type removals struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// watchRemovals asks the engine to tell when it has removed the containers. It must be called before they end: Docker may
// never answer who asks while it removes one.
func watchRemovals(ctx context.Context, api client.APIClient, all []*process) *removals {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout+goWait) // an engine may hang
	r := &removals{cancel: cancel}
	var asked sync.WaitGroup
	for _, p := range all {
		asked.Add(1)
		r.all.Go(func() {
			wait := api.ContainerWait(ctx, p.id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
			asked.Done()
			removed(wait)
		})
	}
	asked.Wait()
	return r
}

// await returns when all are removed, or the time has passed.
func (r *removals) await(most time.Duration) {
	timer := time.AfterFunc(most, r.cancel)
	r.all.Wait()
	timer.Stop()
	r.cancel()
}

func waitRemoved(ctx context.Context, api client.APIClient, id string) {
	removed(api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved}))
}

func removed(wait client.ContainerWaitResult) {
	select {
	case <-wait.Result:
	case <-wait.Error: // it is gone already, or ctx ended
	}
}

// removeRun removes every container with the label by force and returns how many there were. It looks again until it
// finds none, because one may be in the making.
func removeRun(ctx context.Context, api client.APIClient, label, value string) (int, error) {
	removed := 0
	for {
		found, err := api.ContainerList(ctx, client.ContainerListOptions{
			All: true, Filters: make(client.Filters).Add("label", label+"="+value),
		})
		if err != nil {
			return removed, fmt.Errorf("look for what is left: %w", err)
		}
		if len(found.Items) == 0 {
			return removed, nil
		}
		var (
			group sync.WaitGroup
			errs  = make([]error, len(found.Items))
		)
		for i, c := range found.Items {
			group.Go(func() { errs[i] = removeContainer(ctx, api, c.ID) })
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			return removed, err
		}
		removed += len(found.Items)
	}
}

// removeContainer removes a container by force and returns when it is gone.
func removeContainer(ctx context.Context, api client.APIClient, id string) error {
	_, err := api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, errdefs.IsNotFound(err):
		return nil
	case errdefs.IsConflict(err): // its removal is under way
		waitRemoved(ctx, api, id)
		return ctx.Err()
	}
	return fmt.Errorf("remove container %.12s: %w", id, err)
}

// Sweep removes every container of the runs of that name (empty: of all) whose owner was a process of this machine and
// is gone, and returns how many there were. A run that is still held is its owner's to end.
func (e *Engine) Sweep(ctx context.Context, name string) (int, error) {
	provider, err := connect(ctx)
	if err != nil {
		return 0, err
	}
	defer provider.Close()
	api := provider.Client()
	labelled := labelName
	if name != "" {
		labelled += "=" + name
	}
	found, err := api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", labelled),
	})
	if err != nil {
		return 0, fmt.Errorf("look for what is left of %s: %w", name, err)
	}
	swept := make(map[string]bool)
	total := 0
	for _, c := range found.Items {
		run := c.Labels[labelRun]
		if swept[run] || !ownerGone(c.Labels[labelOwner]) {
			continue
		}
		swept[run] = true
		n, err := removeRun(ctx, api, labelRun, run)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// thisOwner names this process among those of all machines that use an engine.
func thisOwner() string {
	machine, err := os.Hostname()
	if err != nil {
		machine = "unknown"
	}
	return machine + "/" + strconv.Itoa(os.Getpid())
}

// ownerGone says whether an owner was a process of this machine that does not run any more. Of another machine's nothing
// is known.
func ownerGone(owner string) bool {
	machine, number, _ := strings.Cut(owner, "/")
	pid, err := strconv.Atoi(number)
	ours, _, _ := strings.Cut(thisOwner(), "/")
	if err != nil || machine != ours {
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	defer func() { _ = process.Release() }()
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
