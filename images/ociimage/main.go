// Command ociimage makes a container image out of files, without a container runtime: a docker-archive tarball which
// `ctr images import`, `podman load` and `crane push` accept.
//
//	ociimage -output kube-proxy.tar -tag registry.k8s.io/kube-proxy:v1.36.4 -tree userland \
//	    -file out/kube-proxy=/usr/local/bin/kube-proxy -entrypoint /usr/local/bin/kube-proxy
//
// The result depends on the names, modes and contents of the files only, so images that share a tree share its layer.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

type options struct {
	output     string
	tags       list
	trees      list
	files      list
	entrypoint list
	user       string
}

func main() {
	var o options
	flag.StringVar(&o.output, "output", "", "`file` to write")
	flag.Var(&o.tags, "tag", "full `reference` of the image; may be repeated")
	flag.Var(&o.trees, "tree", "`folder` that becomes a layer of its own; may be repeated")
	flag.Var(&o.files, "file", "`source=/destination` of a file in the last layer; may be repeated")
	flag.Var(&o.entrypoint, "entrypoint", "`word` of the entry point; may be repeated")
	flag.StringVar(&o.user, "user", "", "`uid:gid` that the image runs as")
	flag.Parse()

	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "ociimage:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.output == "" || len(o.tags) == 0 {
		return fmt.Errorf("-output and at least one -tag are needed")
	}
	image, err := build(o)
	if err != nil {
		return err
	}
	images := make(map[name.Tag]v1.Image, len(o.tags))
	for _, tag := range o.tags {
		reference, err := name.NewTag(tag, name.StrictValidation)
		if err != nil {
			return err
		}
		images[reference] = image
	}
	return tarball.MultiWriteToFile(o.output, images)
}

func build(o options) (v1.Image, error) {
	var layers []v1.Layer
	for _, tree := range o.trees {
		layer, err := treeLayer(tree)
		if err != nil {
			return nil, fmt.Errorf("layer of %q: %w", tree, err)
		}
		layers = append(layers, layer)
	}
	if len(o.files) > 0 {
		layer, err := filesLayer(o.files)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, configure(image, o))
}

func configure(image v1.Image, o options) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		// An image in memory, made three lines above, has one.
		panic(err)
	}
	config = config.DeepCopy()
	config.OS = "linux"
	config.Architecture = "amd64"
	config.Config.Entrypoint = o.entrypoint
	config.Config.User = o.user
	// The manifests of kubeadm call kube-apiserver and the others by their bare names.
	config.Config.Env = []string{"PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"}
	return config
}
