package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestForward(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			go func() { // echoes what it gets when the client has said all
				defer conn.Close()
				all, err := io.ReadAll(conn)
				if err == nil {
					_, err = conn.Write(append([]byte("echo "), all...))
				}
				if err != nil {
					t.Error(err)
				}
			}()
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Forward(ctx, listener, target.Addr().String(), hclog.NewNullLogger()) }()
	text := bytes.Repeat([]byte("0123456789"), 100_000)
	for range 3 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := conn.Write(text)
			if err = errors.Join(err, conn.(*net.TCPConn).CloseWrite()); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "echo "+string(text) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		conn.Close()
	}
	held, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cancel() // ends the open connection too
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// start runs a shell that says when it is ready, and gives a match for it.
func start(t *testing.T, script, mark string) (*exec.Cmd, Match) {
	t.Helper()
	command := exec.Command("sh", "-c", script, mark)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := command.StdinPipe() // what the shell waits for, without another process
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() }) // ends what the test did not
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return command, WithArgument("sh", mark)
}

func TestEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, test := range []struct{ name, script, ended string }{
		{"obeys", "echo ready; read line", "signal: terminated"},
		{"does not", "trap '' TERM; echo ready; read line", "signal: killed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			command, match := start(t, test.script, fmt.Sprintf("mark-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
			waited := make(chan error, 1)
			go func() { waited <- command.Wait() }()
			found, err := Find(match)
			if err != nil || len(found) != 1 || found[0].PID != command.Process.Pid || found[0].Command != "sh" {
				t.Fatalf("found %v, %v", found, err)
			}
			if wrong, err := Find(Only(found[0].PID+1, match)); err != nil || len(wrong) != 0 {
				t.Errorf("another process ID matches: %v, %v", wrong, err)
			}
			ended, err := End(ctx, Any(func(string) bool { return false }, match), 200*time.Millisecond)
			if err != nil || len(ended) != 1 {
				t.Errorf("ended %v, %v", ended, err)
			}
			if err := <-waited; err == nil || err.Error() != test.ended {
				t.Errorf("it ended with %v, want %q", err, test.ended)
			}
		})
	}
	if ended, err := End(ctx, WithArgument("sh", "a mark that nobody has"), time.Second); err != nil || len(ended) != 0 {
		t.Errorf("ended %v, %v", ended, err)
	}
}
