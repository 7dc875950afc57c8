// Package netboot gives known hosts what their firmware needs to load the installer: DHCPv4, TFTP and HTTP boot. The decision "this packet, this answer" is a pure function.
//
// It must not know what happens after the installer has started.
package netboot
