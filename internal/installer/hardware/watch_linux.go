package hardware

import (
	"context"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/metal/order"
	"github.com/vishvananda/netlink"
)

// watcher learns what an inventory cannot wait for: links that come up, LLDP.
type watcher struct {
	logger     hclog.Logger
	amendments chan func(*order.Inventory)
}

func (w *watcher) start(ctx context.Context, i *inspector) {
	if err := w.watchLinks(ctx, i); err != nil {
		w.logger.Warn("links are not watched", "error", err)
	}
	if err := w.listenLLDP(ctx, i.sys); err != nil {
		w.logger.Warn("LLDP is not heard", "error", err)
	}
}

// amend hands over one addition. When nobody takes them it is dropped: the next
// Inspect sees what sysfs knows.
func (w *watcher) amend(f func(*order.Inventory)) {
	select {
	case w.amendments <- f:
	default:
	}
}

// amendNIC changes the port of that MAC address.
func (w *watcher) amendNIC(mac string, f func(*order.NIC)) {
	w.amend(func(inv *order.Inventory) {
		if i := slices.IndexFunc(inv.NICs, func(n order.NIC) bool { return n.MAC == mac }); i >= 0 {
			f(&inv.NICs[i])
		}
	})
}

// watchLinks sets all ports up, so that they have a carrier at all, and follows
// their state.
func (w *watcher) watchLinks(ctx context.Context, i *inspector) error {
	updates := make(chan netlink.LinkUpdate, 64)
	onError := func(err error) { w.logger.Debug("watching links", "error", err) }
	if err := netlink.LinkSubscribeWithOptions(updates, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: onError}); err != nil {
		return err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	known := map[string]order.NIC{}
	for _, l := range links {
		if n, ok := nic(i.sys, l.Attrs().Name); ok {
			known[n.MAC] = n
			if err := netlink.LinkSetUp(l); err != nil {
				w.logger.Debug("port stays down", "port", n.Name, "error", err)
			}
		}
	}
	go func() {
		for u := range updates {
			n, ok := nic(i.sys, u.Attrs().Name)
			if !ok || known[n.MAC] == n {
				continue
			}
			known[n.MAC] = n
			w.amendNIC(n.MAC, func(have *order.NIC) { have.Link, have.SpeedMbps = n.Link, n.SpeedMbps })
		}
	}()
	return nil
}
