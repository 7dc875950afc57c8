module github.com/nanometal/terraform-provider-metal/images/minimal-init

go 1.26.0
