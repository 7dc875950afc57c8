// Command bench measures what this project promises to be quick at, beside the
// programs that people use today, and prints Markdown tables.
//
//	bench boot|image|bmc|ipam|plugin [flags]
//
// Each competitor runs in a process of its own and takes its turn in every
// round, so that what else the machine does hits all of them; a table shows the
// medians of the rounds. Ratios within one run are sound, absolute figures are
// those of one machine at one moment. What a machine lacks (a program, root) is
// said below the table; nothing is estimated.
//
// The competitors that are Go libraries are in the module peers, apart, so that
// the project's own module does not grow by them. bench.sh builds and runs all.
package main
