package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/pin/tftp/v3"
)

// TestHerd switches 200 hosts on at once: each gets its own address and its own
// image, whatever the others do; every fourth also loads iPXE by TFTP.
func TestHerd(t *testing.T) {
	const herd = 200
	hosts := newDirectory()
	for n := 2; n < 2+herd; n++ {
		hosts.put(host(n))
	}
	_, seen, _ := serve(t, hosts)
	e := newExchange(t)
	start := time.Now()
	var wg sync.WaitGroup
	errs := make([]error, herd)
	for i := range herd {
		wg.Go(func() { errs[i] = boot(t, e, host(2+i), i%4 == 0) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d hosts in %s", herd, time.Since(start))
	for stage, want := range map[string]int{StageHTTP: herd, StageTFTP: herd / 4} {
		// A server hears of the end of a transfer after its client.
		got := seen.awaitSome(t, "the end of transfers of stage "+stage, want, func(o Observation) bool { return o.Stage == stage && o.Done && o.Bytes == o.Total })
		if len(got) != want {
			t.Errorf("%d complete transfers of stage %s, want %d", len(got), stage, want)
		}
	}
}

// question is what an answer belongs to: a REQUEST has its DISCOVER's
// transaction, and a repeated DISCOVER has several OFFERs.
type question struct {
	id    dhcpv4.TransactionID
	offer bool
}

// exchange is one socket for all hosts of the herd: a socket for each would have
// every answer copied to all of them.
type exchange struct {
	conn    net.PacketConn
	mu      sync.Mutex
	waiting map[question]chan *dhcpv4.DHCPv4
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	conn, err := nclient4.NewRawUDPConn(hostsPort, dhcpv4.ClientPort)
	if err != nil {
		t.Fatal(err)
	}
	e := &exchange{conn: conn, waiting: map[question]chan *dhcpv4.DHCPv4{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.receive()
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
	return e
}

func (e *exchange) receive() {
	buffer := make([]byte, dhcpPacket)
	for {
		n, _, err := e.conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		p, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil {
			continue
		}
		e.mu.Lock()
		q := question{p.TransactionID, p.MessageType() == dhcpv4.MessageTypeOffer}
		if c := e.waiting[q]; c != nil {
			delete(e.waiting, q)
			c <- p
		}
		e.mu.Unlock()
	}
}

// ask repeats a packet each second until it is answered.
func (e *exchange) ask(ctx context.Context, p *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	answer := make(chan *dhcpv4.DHCPv4, 1)
	e.mu.Lock()
	e.waiting[question{p.TransactionID, p.MessageType() == dhcpv4.MessageTypeDiscover}] = answer
	e.mu.Unlock()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		if _, err := e.conn.WriteTo(p.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
			return nil, err
		}
		select {
		case a := <-answer:
			return a, nil
		case <-again.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer to %s: %w", p.MessageType(), ctx.Err())
		}
	}
}

// lease goes through DISCOVER, OFFER, REQUEST and ACK.
func (e *exchange) lease(ctx context.Context, c Client) (*dhcpv4.DHCPv4, error) {
	discover, err := dhcpv4.NewDiscovery(c.MAC, asHTTPClient...)
	if err != nil {
		return nil, err
	}
	offer, err := e.ask(ctx, discover)
	if err != nil {
		return nil, err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, asHTTPClient...)
	if err != nil {
		return nil, err
	}
	ack, err := e.ask(ctx, request)
	if err == nil && ack.MessageType() != dhcpv4.MessageTypeAck {
		err = fmt.Errorf("answer %s to a REQUEST", ack.MessageType())
	}
	return ack, err
}

func boot(t *testing.T, e *exchange, c Client, withTFTP bool) error {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ack, err := e.lease(ctx, c)
	if err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	if got := ack.YourIPAddr.String(); got != c.Addr.Addr().String() {
		return fmt.Errorf("host %q got address %s, want %s", c.Name, got, c.Addr.Addr())
	}
	image, err := get(ctx, ack.BootFileNameOption())
	if err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	if !bytes.Contains(image, []byte(c.Boot.Cmdline+" ")) {
		return fmt.Errorf("host %q got an image without its command line", c.Name)
	}
	if !withTFTP {
		return nil
	}
	loader, err := tftp.NewClient(segment.Agent.String() + ":69")
	if err != nil {
		return err
	}
	loader.SetBlockSize(1468)
	transfer, err := loader.Receive(FileUEFI, "octet")
	if err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	var file bytes.Buffer
	_, err = transfer.WriteTo(&file)
	return err
}
