package bmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"
)

const (
	virtualMedia  = manager + "/VirtualMedia"
	cdPath        = virtualMedia + "/Cd"
	insertAction  = "#VirtualMedia.InsertMedia"
	ejectAction   = "#VirtualMedia.EjectMedia"
	insertPath    = cdPath + "/Actions/VirtualMedia.InsertMedia"
	ejectPath     = cdPath + "/Actions/VirtualMedia.EjectMedia"
	mediaTimeout  = 5 * time.Minute
	maxMediaBytes = 4 << 30
)

func (b *BMC) mediaRoutes(r *router) {
	r.get(virtualMedia, fixed(collection(virtualMedia, "VirtualMediaCollection", "Virtual Media", cdPath)))
	r.get(cdPath, func(*http.Request) (object, *failure) { return b.cd(), nil })
	r.post(insertPath, b.insertMedia)
	r.post(ejectPath, func(*http.Request, object) (*answer, *failure) { return b.ejectMedia() })
}

func (b *BMC) cd() object {
	shown := object{
		"@odata.id": cdPath, "@odata.type": "#VirtualMedia.v1_5_1.VirtualMedia", "Id": "Cd", "Name": "Virtual CD",
		"MediaTypes": []string{"CD", "DVD"}, "Image": nil, "ImageName": "", "Inserted": false, "WriteProtected": true,
		"ConnectedVia": "NotConnected", "TransferMethod": "Upload", "TransferProtocolType": nil, "UserName": nil, "Password": nil,
		"VerifyCertificate": false, "Status": healthy(),
		"Actions": object{insertAction: object{"target": insertPath}, ejectAction: object{"target": ejectPath}},
	}
	if media := b.read().Media; media != nil {
		shown["Image"], shown["Inserted"], shown["ConnectedVia"] = media.Image, true, "URI"
		if parsed, err := url.Parse(media.Image); err == nil {
			shown["ImageName"] = path.Base(parsed.Path)
			shown["TransferProtocolType"] = map[string]string{"http": "HTTP", "https": "HTTPS"}[parsed.Scheme]
		}
	}
	return shown
}

// insertMedia fetches the image whole before it answers: a real BMC reads it
// piece by piece, but the lab's network does not break in between.
func (b *BMC) insertMedia(r *http.Request, body object) (*answer, *failure) {
	for name := range body {
		switch name {
		case "Image", "Inserted", "WriteProtected", "TransferMethod", "TransferProtocolType", "UserName", "Password":
		default:
			return nil, unknownParameter(insertAction, name)
		}
	}
	image, ok := body["Image"].(string)
	if !ok || image == "" {
		return nil, missingParameter(insertAction, "Image")
	}
	parsed, err := url.Parse(image)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return nil, badParameter(insertAction, "Image", image)
	}
	if b.read().Media != nil {
		return nil, mediaInUse()
	}
	file, err := b.fetchMedia(r.Context(), image)
	if err != nil {
		b.Log(Warning, "Virtual media can't be fetched: "+err.Error())
		return nil, fail(http.StatusBadRequest, message{"ResourceAtUriUnauthorized", "While accessing the resource at '" + image + "', the service failed: " + err.Error(),
			[]string{image, err.Error()}, Critical, "Ensure that the URI is correct and reachable from the service.", ""})
	}
	taken := false
	b.change(func(s *state) {
		if taken = s.Media != nil; !taken { // by another request meanwhile
			s.Media = &mediaState{Image: image, Path: file}
			b.log(OK, "Virtual media inserted")
		}
	})
	if taken {
		b.discard(file)
		return nil, mediaInUse()
	}
	return noContent(), nil
}

func mediaInUse() *failure {
	return fail(http.StatusConflict, message{"ResourceInUse", "The change to the requested resource failed because the resource is in use or in transition.",
		nil, Warning, "Eject the present media and resubmit the request.", ""})
}

// discard deletes an image. A machine that is on keeps the file open until it
// is reset.
func (b *BMC) discard(file string) {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.config.Logger.Warn("media is not deleted", "error", err)
	}
}

func (b *BMC) ejectMedia() (*answer, *failure) {
	media := b.read().Media
	if media == nil {
		return noContent(), nil
	}
	b.change(func(s *state) {
		s.Media = nil
		b.log(OK, "Virtual media ejected")
	})
	b.discard(media.Path)
	return noContent(), nil
}

func (b *BMC) fetchMedia(ctx context.Context, image string) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, mediaTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, image, nil)
	if err != nil {
		return "", err
	}
	// BMCs do not know the CA of whoever serves the image (VirtualMedia
	// VerifyCertificate is false by default).
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("fetching media: status %s", response.Status)
	}
	file, err := os.CreateTemp(b.config.Dir, "media-*.iso")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(file, io.LimitReader(response.Body, maxMediaBytes+1))
	if err == nil && n > maxMediaBytes {
		err = fmt.Errorf("fetching media: more than %d bytes", int64(maxMediaBytes))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}
