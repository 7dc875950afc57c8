# make help lists the targets.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One way of compiling everywhere, so that builds, vet and tests share the cache.
export CGO_ENABLED := 0
export GOFLAGS     := $(GOFLAGS) -trimpath

VERSION  ?= dev
BIN      := bin/terraform-provider-metal
LDFLAGS  := -s -w -X main.version=$(VERSION)
UNIT     := $(shell go list ./... 2>/dev/null | grep -v -e /provider/terraform/acceptance -e /internal/endtoend)
TOOL     := go tool -modfile=tools/go.mod
REPORTS  := reports

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build the one binary into bin/
	go build -ldflags "$(LDFLAGS)" -o $(BIN) .

.PHONY: deps
deps: ## Install the Debian packages that the lab needs (as root)
	images/packages

.PHONY: images
images: deps ## Build everything slow into the cache: OpenTofu, Kubernetes, the OS image, the installer
	images/build all

.PHONY: demo
demo: ## A virtual rack becomes a Kubernetes cluster with tofu apply
	examples/demo/demo.sh up apply show

.PHONY: demo-destroy
demo-destroy: ## ... and a bare rack again with tofu destroy; nothing is left behind
	examples/demo/demo.sh destroy down

.PHONY: test-short
test-short: ## Unit tests, under two minutes warm
	go vet ./...
	go test $(UNIT)

.PHONY: test
test: images build ## Everything that CI runs, the lab included
	go vet ./...
	go test $(UNIT)
	$(MAKE) test-acceptance test-lab verify

.PHONY: test-acceptance
test-acceptance: build ## The provider with the real tofu against simulated machines
	TF_ACC_TERRAFORM_PATH=$$(images/build --path opentofu)/tofu go test -count=1 -timeout 20m ./provider/terraform/acceptance/...

.PHONY: test-lab
test-lab: images build ## One full apply and destroy on QEMU machines with kills in every phase, and the library's road
	go test -count=1 -timeout 60m -tags endtoend -v ./internal/endtoend/...
	go test -count=1 -timeout 10m -tags endtoend ./internal/lab

.PHONY: test-full
test-full: images build ## Everything, for hours; writes a dated report with seeds (RUNS=5)
	internal/endtoend/full.sh

.PHONY: bench
bench: images build ## Measure beside the peers: boot time, image write, BMC round trips, addresses
	internal/bench/bench.sh

.PHONY: lint
lint: ## golangci-lint and shellcheck
	$(TOOL) golangci-lint run ./...
	shellcheck -x $$(git ls-files | xargs grep -lE '^#!.*(bash|sh)$$' --)

.PHONY: generate
generate: build ## Generate docs/ and format examples
	tools/docs.sh

.PHONY: verify
verify: ## Generated files are current, modules tidy, code formatted
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt"; exit 1; }
	go mod tidy -diff
	tools/docs.sh --check

.PHONY: clean
clean: ## Remove what was built into the checkout; the cache stays
	rm -rf bin dist $(REPORTS)
