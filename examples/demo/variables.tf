variable "agent" {
  description = "Where the facility's agent is: a URL such as unix:///run/metal/agent.sock, or embedded:FOLDER."
  type        = string
  default     = "embedded:.metal"
}

variable "network" {
  description = "The network on which the servers boot; the agent's machine has agent_address on it."
  type = object({
    cidr          = string
    gateway       = string
    agent_address = string
    pool          = string
  })
}

variable "installer" {
  description = "Folder with the installer's files."
  type        = string
}

variable "hosts" {
  description = "The servers, by name. The first in alphabetical order runs the control plane."
  type = map(object({
    bmc_url         = string
    bmc_fingerprint = string
    mac             = string
    disk_serial     = string
  }))
}

variable "image" {
  description = "The operating system image and its SHA-256."
  type = object({
    url    = string
    sha256 = string
  })
}

variable "kubernetes_version" {
  description = "The Kubernetes version that the image carries."
  type        = string
}

variable "network_manifest" {
  description = "Path of the network plugin's manifest."
  type        = string
}
