// Package agent is a facility served on a socket: the HTTP API and its event stream, the client, and the one way to name and dial an agent (`unix:///path`, `embedded:folder`). An embedded agent is the same server and the same client over an in-memory listener, so that both behave alike by construction.
//
// It must not hold lifecycle logic (package facility does) or know a front end.
package agent
