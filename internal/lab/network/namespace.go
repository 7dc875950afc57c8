package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where iproute2 keeps named namespaces: "ip netns exec" works
// with the lab's.
const namespaceDir = "/run/netns"

// NamespacePath is the file of a named network namespace.
func NamespacePath(name string) string { return filepath.Join(namespaceDir, name) }

// CreateNamespace makes a named network namespace and leaves the caller in the
// one that it was in.
func CreateNamespace(name string) error {
	return onThread(func() error {
		handle, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("creating network namespace %q: %w", name, err)
		}
		return handle.Close()
	})
}

// DeleteNamespace removes the name; the namespace with all its interfaces goes
// when its last process does. It says whether there was one.
func DeleteNamespace(name string) (bool, error) {
	path := NamespacePath(name)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return true, fmt.Errorf("unmounting network namespace %q: %w", name, err)
	}
	if err := os.Remove(path); err != nil {
		return true, fmt.Errorf("removing network namespace %q: %w", name, err)
	}
	return true, nil
}

// StartIn starts a command inside a named network namespace.
func StartIn(name string, command *exec.Cmd) error {
	return onThread(func() error {
		if err := enter(name); err != nil {
			return err
		}
		return command.Start()
	})
}

// Exec replaces the calling process by a program that runs inside a named
// network namespace. It returns only on failure.
func Exec(name, program string, args, env []string) error {
	return onThread(func() error {
		if err := enter(name); err != nil {
			return err
		}
		return fmt.Errorf("running %q: %w", program, syscall.Exec(program, args, env))
	})
}

// enter moves the present thread.
func enter(name string) error {
	handle, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("opening network namespace %q: %w", name, err)
	}
	defer handle.Close()
	if err := netns.Set(handle); err != nil {
		return fmt.Errorf("entering network namespace %q: %w", name, err)
	}
	return nil
}

// onThread runs f on a thread that ends with it, so that a changed namespace
// stays with nobody.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
