// Package agent is a facility served on a socket: the HTTP API with its event
// stream, the server, the client, and the one way to name and dial an agent
// (`unix:///path`, `embedded:folder`). An embedded agent is the same server and
// the same client over an in-memory listener, so that both behave alike by
// construction.
//
// It must not hold lifecycle logic (package facility does) or know a front end.
//
// # The API
//
// JSON over HTTP/1.1, made so that `curl --unix-socket` can debug it:
//
//	GET    /healthz                           "ok"; 503 while shutting down
//	GET    /v1/version                        Version
//	PUT    /v1/facility                       facility.Spec -> facility.Status
//	PUT    /v1/facility/recall                the same, but starts nothing
//	GET    /v1/facility                       facility.Status
//	DELETE /v1/facility                       204
//	POST   /v1/credentials                    {"name": {"username", "password"}} -> 204
//	GET    /v1/events[?follow=false]          server-sent events; Last-Event-ID continues
//	GET    /v1/facility/spec                  facility.Spec; the same below hosts/{name}, clusters/{name}
//	GET    /v1/hosts                          [host.Status]
//	PUT    /v1/hosts/{name}                   {"spec", "recall"} -> host.Status
//	PUT    /v1/hosts/{name}/recall            {"spec", "recall"} -> host.Status
//	GET    /v1/hosts/{name}[?refresh=true | ?after=REV&wait=SECONDS]
//	DELETE /v1/hosts/{name}[?abandon=true]    202 host.Status
//	GET    /v1/clusters                       [cluster.Status]
//	PUT    /v1/clusters/{name}                cluster.Spec -> cluster.Status
//	GET    /v1/clusters/{name}[?refresh=true | ?after=REV&wait=SECONDS]
//	DELETE /v1/clusters/{name}                202 cluster.Status
//	GET    /v1/clusters/{name}/kubeconfig[?ttl=1h]   YAML, not to be stored
//
// A failure is {"error": fault.Error, "reason": word} with status 400 (the
// request is malformed), 404 (reason "not-found": no such object), 413, 422 (a
// person must correct something), 409 (final), 503 (retryable) or 500.
package agent
