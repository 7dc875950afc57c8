// Package installer is the logic of the small operating system that runs in a
// server's RAM: it finds its agent, reports what the server is made of, and
// carries out the agent's orders (package order) until it boots what it wrote.
//
// It knows hardware only through the interfaces of Machine. Physical is the
// machine it runs on (internal/installer/init, PID 1); Simulated is one made
// of files, so that a thousand of them run in one process with this very code.
package installer
