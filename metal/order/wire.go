package order

import "time"

// The kernel command line keys that tell the installer where its agent is.
const (
	// CmdlineAgent is the base URL of the agent's TLS service.
	CmdlineAgent = "metal.agent"
	// CmdlinePin is the SHA-256, in hex, of the agent's certificate (DER): the
	// only certificate that the installer accepts.
	CmdlinePin = "metal.pin"
	// CmdlineToken is the one-time token of this boot.
	CmdlineToken = "metal.token"
	// CmdlineMAC is the MAC address of the port to use first.
	CmdlineMAC = "metal.mac"
	// CmdlineAddress is an optional static address: "CIDR[,gateway]"; without
	// it the installer uses DHCP.
	CmdlineAddress = "metal.address"
)

// Paths below the agent's base URL, all POST with JSON bodies.
const (
	// PathSession takes SessionRequest, gives SessionResponse. A token is taken
	// once: 401 for one that is unknown or was taken by another session.
	PathSession = "/installer/v1/session"
	// PathExchange takes Report, gives Order; "Authorization: Bearer <key>".
	// The server may hold the answer for up to ExchangeHold while it has no new
	// order. 401: the session is over; the installer opens
	// another with the same token and nonce, and powers off when that is refused
	// for 10 minutes.
	PathExchange = "/installer/v1/exchange"
	// PathMilestone takes Milestone from the installed system's first boot;
	// "Authorization: Bearer <milestone key>" (rendered into its seed).
	PathMilestone = "/installer/v1/milestone"
)

// SessionRequest opens a session. Nonce is chosen by the installer once per
// boot: the same token with the same nonce is answered again with the same key,
// so that an answer lost on the wire can be asked for again, and a token cannot
// be used by a second machine.
type SessionRequest struct {
	Token string `json:"token"`
	Nonce string `json:"nonce"`
}

// SessionResponse carries the key of all further exchanges.
type SessionResponse struct {
	Key string `json:"key"`
	// Host is the host's name, for logs.
	Host string `json:"host"`
}

// Milestone is sent by the installed system while it boots for the first time.
type Milestone struct {
	// Name is one of the Milestone constants.
	Name string `json:"name"`
	// UptimeSeconds is the time since its kernel started.
	UptimeSeconds float64 `json:"uptime_seconds"`
	// Message is for a person; on MilestoneFailed the tail of the log.
	Message string `json:"message,omitempty"`
}

// Milestones of a first boot.
const (
	// MilestoneBooted: the system runs its first user command.
	MilestoneBooted = "booted"
	// MilestoneBootstrapped: kubeadm came to its end.
	MilestoneBootstrapped = "bootstrapped"
	// MilestoneFailed: the first boot's commands failed.
	MilestoneFailed = "failed"
)

// ExchangeHold is the longest time that the agent holds the answer to a report
// while it has nothing new to say. It answers at once when the report's
// progress is Running, so that the installer, which reports about every second
// then, keeps its connection.
const ExchangeHold = 20 * time.Second
