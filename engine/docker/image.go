package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// imageRepo names our images; the tag is a hash of what is in them.
const imageRepo = "scenario"

// staleImage is how long an image of another build of ours is kept: long enough for a run that is starting with it.
const staleImage = 10 * time.Minute

// ensureImage returns the tag of the image that holds the binary, and builds it where the engine does not have it.
func ensureImage(ctx context.Context, provider *testcontainers.DockerProvider, binary string, building func()) (string, error) {
	files, err := imageFiles(binary)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, f := range files {
		fmt.Fprintf(hash, "%s %o %s %s %d\n", f.name, f.mode, f.link, f.id, len(f.data))
		hash.Write(f.data)
	}
	tag := hex.EncodeToString(hash.Sum(nil)[:12])
	name := imageRepo + ":" + tag
	if _, err := provider.Client().ImageInspect(ctx, name); err == nil {
		return name, nil
	} else if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %s: %w", name, err)
	}
	building()
	for i := range files {
		if err := files[i].load(); err != nil {
			return "", err
		}
	}
	archive, err := buildContext(files)
	if err != nil {
		return "", err
	}
	var log bytes.Buffer
	_, err = provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: archive,
		Repo:           imageRepo,
		Tag:            tag,
		KeepImage:      true,
		BuildLogWriter: &log,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) {
			o.Labels = map[string]string{labelImage: tag}
		},
	}})
	if err != nil {
		return "", fmt.Errorf("build image %s: %w\n%s", name, err, strings.TrimSpace(log.String()))
	}
	removeStale(ctx, provider.Client(), name)
	return name, nil
}

// removeStale removes images of earlier builds. One that is in use stays, and is removed another time.
func removeStale(ctx context.Context, api client.APIClient, keep string) {
	images, err := api.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("label", labelImage)})
	if err != nil {
		return
	}
	for _, image := range images.Items {
		if !slices.Contains(image.RepoTags, keep) && time.Since(time.Unix(image.Created, 0)) > staleImage {
			_, _ = api.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{PruneChildren: true})
		}
	}
}

// file is one entry of the image: a file, or a symbolic link where link is set.
type file struct {
	name string // relative to the root
	mode int64
	data []byte
	link string

	source string // where data is still to be read from; empty: data is there
	id     string // stands for data that is still to be read
}

// load reads the data of a file that has been known by its id so far.
func (f *file) load() error {
	if f.source == "" {
		return nil
	}
	data, err := os.ReadFile(f.source)
	if err != nil {
		return fmt.Errorf("read the program for the containers: %w", err)
	}
	f.data, f.source = data, ""
	return nil
}

const dockerfile = "FROM scratch\nADD root.tar /\nENTRYPOINT [\"/scenario\"]\n"

// imageFiles is what the image holds: the binary, with the shared libraries it needs where it is not static, and the
// links that programs expect where the machine's /usr is mounted.
func imageFiles(binary string) ([]file, error) {
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
	}
	opened, err := os.Open(binary)
	if err != nil {
		return nil, fmt.Errorf("read the program for the containers: %w", err)
	}
	defer opened.Close()
	parsed, err := elf.NewFile(opened)
	if err != nil {
		return nil, fmt.Errorf("%s cannot run in a container: it is no Linux program (set SCENARIO_BINARY to a Linux build of scenario): %w", binary, err)
	}
	program := file{name: "scenario", mode: 0o755, source: binary, id: buildID(parsed)}
	if program.id == "" {
		if err := program.load(); err != nil {
			return nil, err
		}
	}
	files := []file{program}
	libraries, err := sharedLibraries(parsed)
	if err != nil {
		return nil, fmt.Errorf("%s cannot run in a container: %w", binary, err)
	}
	files = append(files, libraries...)
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		// With libraries of its own beside it the binary keeps them in the true place, which is below /usr too.
		files = append(files, file{name: dir, mode: 0o777, link: "usr/" + dir})
	}
	files = append(files,
		file{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/usr/sbin/nologin\n")},
		file{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnogroup:x:65534:\n")},
		file{name: "etc/nsswitch.conf", mode: 0o644, data: []byte("hosts: files dns\n")},
	)
	return files, nil
}

// buildID is what the Go linker wrote into the program to tell it from every other, which spares reading tens of
// megabytes at each start; empty where there is none.
func buildID(program *elf.File) string {
	section := program.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	if err != nil {
		return ""
	}
	return hex.EncodeToString(note)
}

// sharedLibraries returns the interpreter and the libraries that the ELF program needs, looked for where the dynamic
// linker of common distributions looks. A static program, as CGO_ENABLED=0 makes it, needs none.
func sharedLibraries(program *elf.File) ([]file, error) {
	var files []file
	queue, err := program.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, segment := range program.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(segment.Open())
		if err != nil {
			return nil, err
		}
		queue = append(queue, strings.TrimRight(string(name), "\x00"))
	}
	seen := make(map[string]bool)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[path.Base(name)] {
			continue
		}
		seen[path.Base(name)] = true
		library, needs, err := findLibrary(name)
		if err != nil {
			return nil, err
		}
		files = append(files, library)
		queue = append(queue, needs...)
	}
	return files, nil
}

// findLibrary returns the library of that name, or the file where name is a path, and what it needs in turn.
func findLibrary(name string) (file, []string, error) {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	for _, dir := range []string{"", "/lib64", "/usr/lib64", "/lib/" + arch + "-linux-gnu", "/usr/lib/" + arch + "-linux-gnu", "/lib", "/usr/lib"} {
		if (dir == "") != path.IsAbs(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return file{}, nil, err
		}
		parsed, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			return file{}, nil, fmt.Errorf("library %s: %w", name, err)
		}
		needs, err := parsed.ImportedLibraries()
		// /lib and its like are links into /usr in the image.
		return file{name: strings.TrimPrefix("usr"+strings.TrimPrefix(filepath.Join(dir, name), "/usr"), "/"), mode: 0o755, data: data}, needs, err
	}
	return file{}, nil, fmt.Errorf("it needs the shared library %s, which is not found: build it with CGO_ENABLED=0", name)
}

// buildContext returns the build context: the Dockerfile and the root as one archive, which keeps links.
func buildContext(files []file) (io.ReadSeeker, error) {
	root, err := archive(files)
	if err != nil {
		return nil, err
	}
	whole, err := archive([]file{
		{name: "Dockerfile", mode: 0o644, data: []byte(dockerfile)},
		{name: "root.tar", mode: 0o644, data: root},
	})
	return bytes.NewReader(whole), err
}

func archive(files []file) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if f.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.name, err)
		}
	}
	err := w.Close()
	return buffer.Bytes(), err
}

// haveImage makes sure that the engine has a user's image, and pulls it where it has not.
func (l *launcher) haveImage(ctx context.Context, name string) error {
	api := l.provider.Client()
	if _, err := api.ImageInspect(ctx, name); err == nil || !errdefs.IsNotFound(err) {
		return err
	}
	pull, err := api.ImagePull(ctx, name, client.ImagePullOptions{})
	if err == nil {
		err = errors.Join(pull.Wait(ctx), pull.Close())
	}
	if err != nil {
		return fmt.Errorf("image %s is not on the engine and cannot be pulled: check its name, or build or load it first: %w", name, err)
	}
	return nil
}
