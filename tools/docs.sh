#!/usr/bin/env bash
# Generates docs/ from the provider's schema, templates/ and examples/.
#
#   tools/docs.sh           write docs/, format the examples
#   tools/docs.sh --check   fail when docs/ or the examples' format are not current
#
# Either way every example is validated with the real tofu: TF_ACC_TERRAFORM_PATH, or the one that images/build makes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check=false
case ${1-} in
"") ;;
--check) check=true ;;
*)
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

tofu=${TF_ACC_TERRAFORM_PATH:-$(images/build --path opentofu)/tofu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=$work/tofurc TF_VAR_bmc_password=example

CGO_ENABLED=0 go build -trimpath -o "$work/bin/terraform-provider-metal" .
cat >"$work/tofurc" <<END
provider_installation {
  dev_overrides {
    "nanometal/metal" = "$work/bin"
  }
  direct {}
}
END

# schema FILE writes the provider's schema as tfplugindocs wants it: it knows the provider by HashiCorp's address.
schema() {
	mkdir "$work/schema"
	cp examples/provider/provider.tf "$work/schema/"
	(cd "$work/schema" && "$tofu" providers schema -json) |
		sed 's#"registry.opentofu.org/nanometal/metal"#"registry.terraform.io/hashicorp/metal"#' >"$1"
}

# validate DIR FILE...: the files are a root module together with the provider's example.
validate() {
	local dir=$1
	shift
	rm -rf "$work/module"
	mkdir "$work/module"
	cp examples/provider/provider.tf "$work/module/"
	local file
	for file; do cp "$dir/$file" "$work/module/"; done
	(cd "$work/module" && "$tofu" validate -no-color >"$work/validate.log" 2>&1) || {
		echo "the example in $dir ($*) is not valid:" >&2
		cat "$work/validate.log" >&2
		return 1
	}
}

validate_all() {
	validate examples/provider
	local dir
	for dir in examples/resources/*; do
		validate "$dir" resource.tf import-by-string-id.tf
		validate "$dir" resource.tf import-by-identity.tf
	done
	for dir in examples/ephemeral-resources/*; do
		validate "$dir" ephemeral-resource.tf
	done
}

schema "$work/schema.json"
validate_all
# tfplugindocs works in a copy, so that a check leaves the checkout alone.
mkdir "$work/provider"
cp -r examples templates "$work/provider/"
go tool -modfile=tools/go.mod tfplugindocs generate --provider-dir "$work/provider" --provider-name metal \
	--rendered-provider-name metal --providers-schema "$work/schema.json" >"$work/docs.log" || {
	cat "$work/docs.log" >&2
	exit 1
}

if $check; then
	"$tofu" fmt -check -recursive -diff examples
	diff -ru docs "$work/provider/docs" || {
		echo "docs/ is not current: run make generate" >&2
		exit 1
	}
else
	"$tofu" fmt -recursive examples
	rm -rf docs
	cp -r "$work/provider/docs" docs
fi
