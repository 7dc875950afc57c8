// Package host owns the life of one server: what is wanted of it (Spec,
// Deployment), what is seen of it (Observation), the pure function that decides
// the one next action, and the ledger of what was changed on it with how to put
// it back.
//
// It reaches hardware only through the interfaces that it declares (a BMC, an
// installer session, a boot service, a store). It must not know OpenTofu,
// Kubernetes, clusters or where its records are kept.
package host
