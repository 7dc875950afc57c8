package facility

import "errors"

// ErrNotFound is returned when the facility, host or cluster that was asked for
// has no record: it was never applied, or was released.
var ErrNotFound = errors.New("not found")
