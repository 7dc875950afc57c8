// Package efivars reads and writes the variable store of an EDK2 firmware
// image (OVMF_VARS), and encodes the UEFI load options that are kept in it.
//
// The lab uses it to give a machine's firmware a one-time boot target before
// power-on, as a BMC does on real hardware through the firmware's mailbox. It
// knows neither machines nor BMCs.
package efivars
