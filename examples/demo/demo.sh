#!/usr/bin/env bash
# The demo, in steps that can be run alone:
#   up       the virtual rack and its agent
#   apply    tofu apply, with the agent's progress
#   show     the phase table and the cluster
#   destroy  tofu destroy
#   down     the rack away, and proof that nothing is left
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${DEMO_NAME:-demo}
dir=${DEMO_DIR:-$PWD/.metal/$name}
machines=${DEMO_MACHINES:-2}
api_port=${DEMO_API_PORT:-16443}
bin=$PWD/bin/terraform-provider-metal
socket=$dir/agent.sock
kubeconfig=$dir/kubeconfig
# The API server is on one of the hosts' addresses; port 16443 leads to .100 and so on.
forwards=()
for ((i = 0; i < machines; i++)); do
  forwards+=(--forward "127.0.0.1:$((api_port + i))=172.30.0.$((100 + i)):6443")
done

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

prepare() {
  say "packages, OpenTofu, Kubernetes, images (slow the first time, then cached)"
  images/packages
  images/build opentofu kubernetes os-image installer-image
  make --no-print-directory -s build
}

tofu() { command "$(images/build --path opentofu)/tofu" -chdir="$dir/work" "$@"; }
lab() { "$bin" lab "$@" --name "$name" --dir "$dir/lab"; }

# variables turns what the lab says of its machines into the example's variables.
variables() {
  local image
  image=$(images/build --path os-image)
  lab status --json | jq --arg agent "unix://$socket" --arg installer "$(images/build --path installer-image)" \
    --arg image "$image/disk.raw.zst" --arg sha "$(cut -c1-64 "$image/disk.raw.zst.sha256")" \
    --arg version "$(jq -r .kubernetes "$image/disk.raw.zst.json")" --arg plugin "$PWD/images/manifests/flannel.yaml" '{
      agent: $agent, installer: $installer, kubernetes_version: $version, network_manifest: $plugin,
      image: {url: ("file://" + $image), sha256: $sha},
      network: {cidr: .subnet, gateway: (.address | split("/")[0]), agent_address: (.address | split("/")[0]), pool: ((.subnet | split(".")[0:3] | join(".")) as $net | "\($net).100-\($net).120")},
      hosts: (.machines | map({key: .name, value: {bmc_url: .bmc_url, bmc_fingerprint: .bmc_fingerprint, mac: .macs[0], disk_serial: .disks[0].serial}}) | from_entries)
    }' >"$dir/work/lab.auto.tfvars.json"
}

# workspace makes a working folder whose provider is the one just built.
workspace() {
  mkdir -p "$dir/work/patches"
  cp examples/demo/*.tf examples/demo/kubeadm.yaml "$dir/work/"
  cp examples/demo/patches/*.yaml "$dir/work/patches/"
  local mirror
  mirror=$dir/plugins/registry.opentofu.org/nanometal/metal/0.1.0/linux_$(go env GOARCH)
  mkdir -p "$mirror"
  ln -sf "$bin" "$mirror/terraform-provider-metal_v0.1.0"
  printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$dir/plugins" >"$dir/tofu.rc"
  rm -f "$dir/work/.terraform.lock.hcl"
  variables
}

environment() {
  export TF_CLI_CONFIG_FILE=$dir/tofu.rc METAL_BMC_LAB_USERNAME METAL_BMC_LAB_PASSWORD
  METAL_BMC_LAB_USERNAME=$(lab status --json | jq -r .bmc_user)
  METAL_BMC_LAB_PASSWORD=$(cat "$dir/lab/bmc-password")
}

agent_up() {
  mkdir -p "$dir"
  if "$bin" agent status --socket "$socket" >/dev/null 2>&1; then return; fi
  setsid "$bin" lab exec --name "$name" --dir "$dir/lab" -- \
    "$bin" agent serve --socket "$socket" --state-dir "$dir/agent" --log-level info >>"$dir/agent.log" 2>&1 </dev/null &
  "$bin" agent status --socket "$socket" --wait 30s >/dev/null || die "the agent did not start; see $dir/agent.log"
}

agent_down() {
  "$bin" agent stop --socket "$socket"
}

up() {
  prepare
  say "the virtual rack"
  mkdir -p "$dir"
  lab status >/dev/null 2>&1 || lab up --machines "$machines" --memory 3072 "${forwards[@]}"
  workspace
  environment
  [ -e "$dir/bmc-before.json" ] || lab dump --json "$dir/bmc-before.json"
  agent_up
  tofu init -input=false -no-color >"$dir/init.log" || { cat "$dir/init.log" >&2; die "tofu init failed"; }
}

# watched runs tofu beside the agent's progress, then shows the last lines of what it said.
watched() {
  local verb=$1 lines=$2 watcher failed=0
  environment
  agent_up
  say "tofu $verb"
  "$bin" agent events --socket "$socket" --follow &
  watcher=$!
  tofu "$verb" -input=false -auto-approve -no-color >"$dir/$verb.log" 2>&1 || failed=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  tail -n "$lines" "$dir/$verb.log"
  return "$failed"
}

apply() { watched apply 40; }

show() {
  say "seconds of every phase"
  "$bin" agent table --socket "$socket"
  local endpoint
  endpoint=$(tofu output -raw endpoint)
  endpoint=${endpoint%:*}
  "$bin" agent kubeconfig management --socket "$socket" --server "https://127.0.0.1:$((api_port + ${endpoint##*.} - 100))" >"$kubeconfig"
  chmod 600 "$kubeconfig"
  local kubectl
  kubectl=$(images/build --path kubernetes)/kubectl
  say "kubectl get pods -A"
  "$kubectl" --kubeconfig "$kubeconfig" get pods -A
  say "kubectl get nodes -o wide     (export KUBECONFIG=$kubeconfig)"
  "$kubectl" --kubeconfig "$kubeconfig" get nodes -o wide
}

destroy() {
  [ -d "$dir/work" ] || die "there is no demo in $dir"
  watched destroy 20
}

# bare proves that the rack is as it was before apply.
bare() {
  lab dump --json "$dir/bmc-after.json"
  diff -u "$dir/bmc-before.json" "$dir/bmc-after.json" || die "the BMCs are not as they were found"
  lab status --json | jq -r '.machines[] | [.name, .power, .disks[0].path] | @tsv' | while IFS=$'\t' read -r machine power disk; do
    [ "$power" = off ] || die "$machine is $power"
    [ -z "$(wipefs --noheadings "$disk")" ] || die "$machine's disk has a signature: $(wipefs --noheadings "$disk")"
    echo "$machine: off, BMC as before, disk bare"
  done
}

down() {
  say "the rack is as it was found"
  bare
  agent_down
  lab down --purge
  rm -rf "$dir"
}

for step in "$@"; do
  case $step in
    up | agent_up | apply | show | destroy | bare | down) "$step" ;;
    *) die "unknown step $step" ;;
  esac
done
