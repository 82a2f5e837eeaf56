package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"scenario/engine/docker/control"
	"scenario/topology"
)

// copyVolumes copies files and folders of this machine into a container. They are copied and not mounted, so that the
// engine may be on another machine.
func copyVolumes(ctx context.Context, api client.APIClient, container string, volumes []topology.Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	archive, out := io.Pipe()
	go func() { out.CloseWithError(writeVolumes(out, volumes)) }()
	defer archive.Close()
	_, err := api.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: "/", Content: archive})
	if err != nil {
		return fmt.Errorf("copy volumes: %w", err)
	}
	return nil
}

// maxVolumes bounds the archive of the volumes of a node with this machine's programs: it goes to the agent in one line.
const maxVolumes = control.MaxLine / 2

// packVolumes makes the archive that the agent of a node with this machine's programs unpacks: Docker itself copies nothing
// into a container whose root is read-only.
func packVolumes(volumes []topology.Volume) ([]byte, error) {
	if len(volumes) == 0 {
		return nil, nil
	}
	var archive bytes.Buffer
	if err := writeVolumes(&archive, volumes); err != nil {
		return nil, fmt.Errorf("copy volumes: %w", err)
	}
	if archive.Len() > maxVolumes {
		return nil, fmt.Errorf("copy volumes: they are %d MiB, and a node with rootfs: host takes %d MiB", archive.Len()>>20, maxVolumes>>20)
	}
	return archive.Bytes(), nil
}

// volumeFolders lists the folders that a container of this machine's programs needs for its volumes: each its own or, where
// it is a file, the one that it is to be in.
func volumeFolders(volumes []topology.Volume) ([]string, error) {
	var folders []string
	for _, v := range volumes {
		info, err := os.Stat(v.Source)
		if err != nil {
			return nil, fmt.Errorf("volume: %w", err)
		}
		folder := path.Clean(v.Target)
		if !info.IsDir() {
			folder = path.Dir(folder)
		}
		if folder == "/" {
			return nil, fmt.Errorf("volume %s: with rootfs: host nothing is put into / itself: name a folder, such as /srv", v.Source)
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

// mountFolders gives a container folders in memory, from which programs can be started, where it has none.
func mountFolders(h *container.HostConfig, folders []string) {
	for _, folder := range folders {
		if _, there := h.Tmpfs[folder]; !there {
			h.Tmpfs[folder] = "exec,mode=0755"
		}
	}
}

// writeVolumes writes the volumes as an archive of the container's root.
func writeVolumes(out io.Writer, volumes []topology.Volume) error {
	w := tar.NewWriter(out)
	for _, v := range volumes {
		err := filepath.WalkDir(v.Source, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(v.Source, name)
			if err != nil {
				return err
			}
			return addFile(w, name, strings.TrimPrefix(path.Join(v.Target, filepath.ToSlash(below)), "/"), entry)
		})
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Source, err)
		}
	}
	return w.Close()
}

// addFile adds a file, a folder or a symbolic link under the name that it has in the container. Others, such as sockets,
// are passed over.
func addFile(w *tar.Writer, source, target string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	link := ""
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		if link, err = os.Readlink(source); err != nil {
			return err
		}
	case !mode.IsRegular() && !mode.IsDir():
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = target
	// Owners of this machine mean nothing in the image.
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}
