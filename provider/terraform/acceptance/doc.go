// Package acceptance tests the provider as its users meet it: the real tofu
// binary, the real plugin protocol, and an agent's API on a real socket. It
// holds tests only; rules TF-1 to TF-11 have one each that carries the id.
//
// TF_ACC_TERRAFORM_PATH names the tofu binary; `make test` sets it.
package acceptance
