package bmc

import (
	"net/http"
	"strings"
)

func mediaQuirks() map[string]quirk {
	return map[string]quirk{
		"smc-reject-inserted": {
			seen: "Supermicro X11, X12; sushy release note fix-insert-media-payload",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				for _, name := range []string{"Inserted", "WriteProtected"} {
					if _, there := body[name]; there && on(r, http.MethodPost, insertPath) {
						return unknownParameter(insertAction, name)
					}
				}
				return nil
			},
		},
		"transfer-protocol-required": {
			seen: "Nokia; sushy release note retry-if-transferprototype-missing",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if _, there := body["TransferProtocolType"]; !there && on(r, http.MethodPost, insertPath) {
					return missingParameter(insertAction, "TransferProtocolType")
				}
				return nil
			},
		},
		"url-special-chars": {
			seen: "Supermicro X12; ironic release note remove-filename-param",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if image, _ := body["Image"].(string); on(r, http.MethodPost, insertPath) && strings.ContainsAny(image, "?=") {
					return badParameter(insertAction, "Image", "(a URI with ? or =)")
				}
				return nil
			},
		},
		"iso-suffix": {
			seen: "ironic release note add-iso-suffix",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if image, _ := body["Image"].(string); on(r, http.MethodPost, insertPath) && !strings.HasSuffix(image, ".iso") {
					return badParameter(insertAction, "Image", "(a URI that does not end in .iso)")
				}
				return nil
			},
		},
		"eject-needs-empty-body": {
			seen: "HPE; sushy release note fix-eject-media-empty-dict",
			before: func(_ *BMC, r *http.Request, _ object) *failure {
				if on(r, http.MethodPost, ejectPath) && r.ContentLength == 0 {
					return fail(http.StatusUnsupportedMediaType, message{"HeaderInvalid", "Header 'Content-Type' is invalid.",
						[]string{"Content-Type"}, Critical, "Send a JSON object.", ""})
				}
				return nil
			},
		},
		"eject-when-empty-fails": {
			seen: "sushy release note bug-2114737; bmc-toolbox/bmclib#410",
			before: func(b *BMC, r *http.Request, _ object) *failure {
				if on(r, http.MethodPost, ejectPath) && b.read().Media == nil {
					return fail(http.StatusBadRequest, message{"ResourceNotReady", "There is no media to eject.", nil, Warning, "None.", ""})
				}
				return nil
			},
		},
	}
}
