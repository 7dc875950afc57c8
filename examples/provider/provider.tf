terraform {
  required_providers {
    metal = {
      source = "nanometal/metal"
    }
  }
}

# Given with -var or TF_VAR_bmc_password; it never enters state or plan.
variable "bmc_password" {
  type      = string
  ephemeral = true
  sensitive = true
}

provider "metal" {
  credentials = {
    rack = { username = "admin", password = var.bmc_password }
  }

  # OpenTofu shows no progress: tail -f this.
  event_log = "metal-events.json"
}
