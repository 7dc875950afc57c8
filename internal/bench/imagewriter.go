package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nanometal/terraform-provider-metal/metal/image"
)

// imageWriter writes the image at a URL to a target as the installer does:
// arguments are URL, digest, target and raw size.
func imageWriter(ctx context.Context, args []string) (err error) {
	if len(args) != 4 {
		return errors.New("usage: bench image-writer URL SHA256 TARGET SIZE")
	}
	size, err := strconv.ParseInt(args[3], 10, 64)
	if err != nil {
		return fmt.Errorf("parsing size %q: %w", args[3], err)
	}
	device, err := image.OpenDevice(args[2])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	zeroed, certain, err := device.Blank(ctx, size)
	if err != nil {
		return err
	}
	source := &image.ResumingReader{URL: args[0]}
	if err := source.Open(ctx); err != nil {
		return err
	}
	defer source.Close()
	stream := image.StreamOptions{Source: source, Subject: "image of the benchmark", SHA256: args[1], Target: device, Zeroed: zeroed, LimitBytes: size}
	if !certain {
		stream.ReadBack = device
	}
	_, err = image.Stream(ctx, stream)
	return err
}
