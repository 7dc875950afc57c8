// Package netboot gives known hosts what their firmware needs to load the
// installer: DHCPv4, TFTP and HTTP.
//
// Decide is the heart and is pure: this packet of this client gets that answer.
// Around it, Start binds the ports and moves packets; Foreign looks for other
// DHCP servers on a segment before ours is started on it. Only hosts that the
// Directory knows by MAC address are ever answered.
//
// # How a host boots
//
// UEFI HTTP boot: DISCOVER with class HTTPClient and architecture 16; OFFER with
// class HTTPClient and the URL of installer.efi, a unified kernel image whose
// .cmdline section is filled in for this host while it is being served.
//
// UEFI PXE (architecture 7 or 9): snponly.efi by TFTP. BIOS PXE (architecture
// 0): undionly.kpxe by TFTP. Both are iPXE, which asks by DHCP again, with user
// class iPXE, and is given the URL of a script that loads the installer's kernel
// and initramfs by HTTP. A network card with iPXE in its ROM comes in here.
//
// A host without a Boot gets its address and no file, so that its firmware goes
// on to the next boot device.
//
// The package must not know what happens after the installer has started.
package netboot
