package netboot

import (
	"io"
	"net/http"
	"time"
)

const (
	// httpStall is how long a client may take nothing of what it asked for.
	httpStall = time.Minute
	// httpPiece is how much is handed to the kernel under one deadline.
	httpPiece = 16 << 20
)

// paced gives every response a write deadline that moves along while the client
// keeps reading: a body may take hours, a client that is gone is noticed.
func paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &meter{ResponseWriter: w, control: http.NewResponseController(w)}
		// Also for answers without a body: the deadline outlives a request on its
		// connection.
		if err := m.extend(); err != nil {
			http.Error(w, "no deadline on this connection", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(m, r)
	})
}

// meter counts what was written and moves the write deadline.
type meter struct {
	http.ResponseWriter
	control *http.ResponseController
	bytes   int64
}

func (m *meter) extend() error { return m.control.SetWriteDeadline(time.Now().Add(httpStall)) }

// Unwrap lets http.ResponseController reach the connection.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// Flush serves handlers that stream.
func (m *meter) Flush() {
	if f, ok := m.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (m *meter) Write(p []byte) (int, error) {
	if err := m.extend(); err != nil {
		return 0, err
	}
	n, err := m.ResponseWriter.Write(p)
	m.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile working: the kernel is given the file itself, in
// pieces, each under its own deadline.
func (m *meter) ReadFrom(from io.Reader) (int64, error) {
	limit := int64(1) << 62
	if l, ok := from.(*io.LimitedReader); ok {
		from, limit = l.R, l.N
		defer func() { l.N = limit }()
	}
	var sum int64
	for limit > 0 {
		if err := m.extend(); err != nil {
			return sum, err
		}
		piece := &io.LimitedReader{R: from, N: min(limit, httpPiece)}
		asked := piece.N
		n, err := io.Copy(m.ResponseWriter, piece)
		sum, limit, m.bytes = sum+n, limit-n, m.bytes+n
		if err != nil || n < asked {
			return sum, err
		}
	}
	return sum, nil
}
