// Package hardware is the installer's view of the real machine it runs on:
// sysfs and SMBIOS for the inventory, rtnetlink and DHCP for the network, block
// device ioctls, mounts and kexec.
//
// It knows nothing of agents and orders' meaning; package installer does.
package hardware
