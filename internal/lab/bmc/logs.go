package bmc

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Severity is a Redfish LogEntry.EventSeverity.
type Severity string

// The severities.
const (
	OK       Severity = "OK"
	Warning  Severity = "Warning"
	Critical Severity = "Critical"
)

// keptEvents bounds the event log; the oldest are dropped ("WrapsWhenFull").
const keptEvents = 500

type logEntry struct {
	ID       int       `json:"id"`
	Time     time.Time `json:"time"`
	Severity Severity  `json:"severity"`
	Message  string    `json:"message"`
}

// log needs the lock; the caller saves.
func (b *BMC) log(severity Severity, message string) {
	b.state.LastEvent++
	entry := logEntry{ID: b.state.LastEvent, Time: b.config.Now().UTC(), Severity: severity, Message: message}
	b.state.Events = append(b.state.Events, entry)
	if len(b.state.Events) > keptEvents {
		b.state.Events = append([]logEntry(nil), b.state.Events[len(b.state.Events)-keptEvents:]...)
	}
	b.config.Logger.Debug("event", "machine", b.config.Hardware.Name, "severity", severity, "message", message)
}

const (
	logServices = system + "/LogServices"
	eventLog    = logServices + "/EventLog"
	hostLogger  = logServices + "/HostLogger"
)

func (b *BMC) logRoutes(r *router) {
	r.get(logServices, fixed(collection(logServices, "LogServiceCollection", "Log Services", eventLog, hostLogger)))
	r.get(eventLog, func(*http.Request) (object, *failure) {
		return logService(eventLog, "EventLog", "System Event Log", "SEL", keptEvents), nil
	})
	r.get(hostLogger, func(*http.Request) (object, *failure) {
		service := logService(hostLogger, "HostLogger", "Serial Console Log", "OEM", 0)
		delete(service, "Actions")
		return service, nil
	})
	r.post(eventLog+"/Actions/LogService.ClearLog", b.clearLog)
	r.get(eventLog+"/Entries", func(q *http.Request) (object, *failure) { return page(q, eventLog+"/Entries", b.eventEntries()) })
	r.item(eventLog+"/Entries/", method{get: func(q *http.Request, id string) (object, *failure) {
		return pick(b.eventEntries(), eventLog+"/Entries/"+id)
	}})
	r.get(hostLogger+"/Entries", func(q *http.Request) (object, *failure) { return b.consolePage(q) })
	r.item(hostLogger+"/Entries/", method{get: b.consoleEntry})
}

func logService(uri, id, name, kind string, records int) object {
	service := object{
		"@odata.id": uri, "@odata.type": "#LogService.v1_3_0.LogService", "Id": id, "Name": name,
		"OverWritePolicy": "WrapsWhenFull", "ServiceEnabled": true, "LogEntryType": kind, "Status": healthy(),
		"Entries": link(uri + "/Entries"),
		"Actions": object{"#LogService.ClearLog": object{"target": uri + "/Actions/LogService.ClearLog"}},
	}
	if records > 0 {
		service["MaxNumberOfRecords"] = records
	}
	return service
}

func (b *BMC) clearLog(*http.Request, object) (*answer, *failure) {
	b.change(func(s *state) { s.Events = nil })
	return noContent(), nil
}

func (b *BMC) eventEntries() []object {
	var entries []object
	for _, e := range b.read().Events {
		id := strconv.Itoa(e.ID)
		entries = append(entries, object{
			"@odata.id": eventLog + "/Entries/" + id, "@odata.type": "#LogEntry.v1_12_0.LogEntry",
			"Id": id, "Name": "Log Entry " + id, "EntryType": "Event", "Severity": e.Severity,
			"Created": e.Time.Format(time.RFC3339), "Message": e.Message,
		})
	}
	return entries
}

// consoleLines gives the serial console since the last power-on, as lines.
func (b *BMC) consoleLines() ([][]byte, *failure) {
	text, err := b.config.Machine.Console()
	if err != nil {
		b.config.Logger.Error("console can't be read", "machine", b.config.Hardware.Name, "error", err)
		return nil, internalError()
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return nil, nil
	}
	return bytes.Split(text, []byte("\n")), nil
}

// consolePage makes entries only for the lines of the page: a console has tens
// of thousands.
func (b *BMC) consolePage(q *http.Request) (object, *failure) {
	lines, problem := b.consoleLines()
	if problem != nil {
		return nil, problem
	}
	return pageOf(q, hostLogger+"/Entries", len(lines), func(i int) object { return consoleLine(i, lines[i]) })
}

func (b *BMC) consoleEntry(_ *http.Request, id string) (object, *failure) {
	lines, problem := b.consoleLines()
	if problem != nil {
		return nil, problem
	}
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(lines) {
		return nil, missing(hostLogger + "/Entries/" + id)
	}
	return consoleLine(i, lines[i]), nil
}

// consoleLine is one line as OpenBMC's host logger gives it.
func consoleLine(i int, line []byte) object {
	id := strconv.Itoa(i)
	return object{
		"@odata.id": hostLogger + "/Entries/" + id, "@odata.type": "#LogEntry.v1_12_0.LogEntry",
		"Id": id, "Name": "Host Logger Entry", "EntryType": "Oem", "OemRecordFormat": "Host Logger Entry",
		"Severity": OK, "Message": fmt.Sprintf("%s", bytes.ToValidUTF8(bytes.TrimRight(line, "\r"), []byte("?"))),
	}
}
