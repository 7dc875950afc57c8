package bmc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	sessionService = root + "/SessionService"
	sessionsPath   = sessionService + "/Sessions"
	// maxSessions is in the range of real BMCs (8 to 64).
	maxSessions = 64
)

type session struct {
	id      string
	token   string
	created time.Time
	used    time.Time
	origin  string
}

// sessions are kept in memory: a restart of the BMC ends them all.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	last int
	all  map[string]*session // by ID
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, all: map[string]*session{}}
}

// open makes a session; nil when there are too many.
func (s *sessions) open(origin string, timeout time.Duration) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(timeout)
	if len(s.all) >= maxSessions {
		return nil
	}
	s.last++
	now := s.now()
	made := &session{id: strconv.Itoa(s.last), token: rand.Text(), created: now, used: now, origin: origin}
	s.all[made.id] = made
	return made
}

// valid says whether a token is that of a live session, and keeps it alive.
func (s *sessions) valid(token string, timeout time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(timeout)
	for _, known := range s.all {
		if subtle.ConstantTimeCompare([]byte(known.token), []byte(token)) == 1 {
			known.used = s.now()
			return true
		}
	}
	return false
}

// expire needs the lock.
func (s *sessions) expire(timeout time.Duration) {
	for id, known := range s.all {
		if s.now().Sub(known.used) > timeout {
			delete(s.all, id)
		}
	}
}

func (s *sessions) get(id string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.all[id]
	if known == nil {
		return session{}, false
	}
	return *known, true
}

func (s *sessions) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.all[id]
	delete(s.all, id)
	return ok
}

// forget ends all sessions.
func (s *sessions) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.all)
}

func (s *sessions) uris() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var uris []string
	for id := 1; id <= s.last; id++ {
		if known := s.all[strconv.Itoa(id)]; known != nil {
			uris = append(uris, sessionsPath+"/"+known.id)
		}
	}
	return uris
}

func (b *BMC) sessionTimeout() time.Duration {
	return time.Duration(b.read().SessionTimeout) * time.Second
}

// authenticate takes a session token or basic authentication.
func (b *BMC) authenticate(r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		return b.sessions.valid(token, b.sessionTimeout())
	}
	user, password, ok := r.BasicAuth()
	return ok && b.login(user, password)
}

// login compares digests, so that neither length nor content shows in the time.
func (b *BMC) login(user, password string) bool {
	equal := func(x, y string) int {
		a, b := sha256.Sum256([]byte(x)), sha256.Sum256([]byte(y))
		return subtle.ConstantTimeCompare(a[:], b[:])
	}
	if equal(user, b.config.Username)&equal(password, b.config.Password) == 1 {
		return true
	}
	b.Log(Warning, "A login failed: wrong user name or password")
	return false
}

func (b *BMC) sessionRoutes(r *router) {
	service := r.get(sessionService, func(*http.Request) (object, *failure) {
		return object{
			"@odata.id": sessionService, "@odata.type": "#SessionService.v1_1_8.SessionService", "Id": "SessionService",
			"Name": "Session Service", "Status": healthy(), "ServiceEnabled": true,
			"SessionTimeout": b.read().SessionTimeout, "Sessions": link(sessionsPath),
		}, nil
	})
	r.patch(sessionService, func(q *http.Request, body object) (*answer, *failure) {
		return b.apply(service, q, body, map[string]setter{"SessionTimeout": func(value any) (func(*state), []message) {
			n, ok := value.(float64)
			if !ok {
				return nil, []message{typeError("/SessionTimeout", value)}
			}
			if n != float64(int(n)) || n < 30 || n > 86400 { // the schema's limits
				return nil, []message{formatError("/SessionTimeout", value)}
			}
			return func(s *state) { s.SessionTimeout = int(n) }, nil
		}})
	})
	r.get(sessionsPath, func(*http.Request) (object, *failure) {
		return collection(sessionsPath, "SessionCollection", "Sessions", b.sessions.uris()...), nil
	})
	for _, path := range []string{sessionsPath, sessionsPath + "/Members"} {
		r.post(path, b.createSession).openPost = true
	}
	r.item(sessionsPath+"/", method{get: b.getSession, delete: func(_ *http.Request, id string) (*answer, *failure) {
		if !b.sessions.remove(id) {
			return nil, missing(sessionsPath + "/" + id)
		}
		return noContent(), nil
	}})
}

func (b *BMC) createSession(r *http.Request, body object) (*answer, *failure) {
	var credentials [2]string
	for i, name := range []string{"UserName", "Password"} {
		value, ok := body[name].(string)
		if !ok {
			return nil, fail(http.StatusBadRequest, message{"PropertyMissing",
				"The property " + name + " is a required property and must be included in the request.", []string{name}, Warning,
				"Ensure that the property is in the request body and has a valid value and resubmit the request if the operation failed.", "/" + name})
		}
		credentials[i] = value
	}
	if !b.login(credentials[0], credentials[1]) {
		return nil, unauthorized(r.URL.Path)
	}
	made := b.sessions.open(r.RemoteAddr, b.sessionTimeout())
	if made == nil {
		return nil, fail(http.StatusServiceUnavailable, message{"SessionLimitExceeded",
			"The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.", nil, Critical,
			"Reduce the number of other sessions before trying to establish the session or increase the limit of simultaneous sessions, if supported.", ""})
	}
	shown, problem := b.getSession(r, made.id)
	if problem != nil {
		return nil, problem
	}
	return &answer{status: http.StatusCreated, body: shown, header: map[string]string{
		"X-Auth-Token": made.token, "Location": sessionsPath + "/" + made.id,
	}}, nil
}

func (b *BMC) getSession(_ *http.Request, id string) (object, *failure) {
	known, ok := b.sessions.get(id)
	if !ok {
		return nil, missing(sessionsPath + "/" + id)
	}
	return object{
		"@odata.id": sessionsPath + "/" + id, "@odata.type": "#Session.v1_5_0.Session", "Id": id,
		"Name": "User Session", "UserName": b.config.Username, "Password": nil, "SessionType": "Redfish",
		"CreatedTime": known.created.UTC().Format(time.RFC3339), "ClientOriginIPAddress": hostOf(known.origin),
	}, nil
}
