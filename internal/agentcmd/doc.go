// Package agentcmd is the `agent` subcommand: it serves a facility on a socket,
// and shows a person what an agent does (progress of hosts, time per phase).
//
// It holds flags and rendering only; package metal/agent does the work.
package agentcmd
