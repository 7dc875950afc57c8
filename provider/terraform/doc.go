// Package terraform is the OpenTofu front end: it translates between resources
// and a facility's agent, and decides nothing about servers or clusters.
//
// One package per resource lies below it. All of them reach an agent through
// package connection, show progress through package progress, and turn faults
// into diagnostics through package diagnosis.
package terraform
