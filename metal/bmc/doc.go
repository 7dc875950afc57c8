// Package bmc is out-of-band control of one server through Redfish: power, boot override, inventory, event and console log, over one kept connection, with every write read back.
//
// It knows neither hosts' lifecycle nor where credentials come from.
package bmc
