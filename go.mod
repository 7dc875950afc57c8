module github.com/nanometal/terraform-provider-metal

go 1.26.8
