package host

import "github.com/hashicorp/terraform-plugin-framework/resource/schema"

func text(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func number(description string) schema.Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

func flag(description string) schema.Attribute {
	return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
}

func object(description string, attributes map[string]schema.Attribute) schema.Attribute {
	return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: attributes}
}

func list(description string, attributes map[string]schema.Attribute) schema.Attribute {
	return schema.ListNestedAttribute{Computed: true, MarkdownDescription: description,
		NestedObject: schema.NestedAttributeObject{Attributes: attributes}}
}

// hardware follows order.Inventory.
func hardware() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"system": object("The machine, by SMBIOS.", map[string]schema.Attribute{
			"manufacturer": text("Manufacturer."), "product": text("Product name."),
			"serial": text("Serial number."), "uuid": text("System UUID."),
		}),
		"cpu": object("The sum over all sockets.", map[string]schema.Attribute{
			"model": text("Model name."), "sockets": number("Sockets."), "cores": number("Cores."),
			"threads": number("Threads."), "arch": text("Architecture, such as `amd64`."),
		}),
		"memory_mb": number("Memory in MiB."),
		"disks": list("Whole block devices that an image could be written to.", map[string]schema.Attribute{
			"name": text("The kernel's path."), "by_path": text("Name below `/dev/disk/by-path`."),
			"model": text("Model."), "vendor": text("Vendor."), "serial": text("Serial number."), "wwn": text("World Wide Name."),
			"size_bytes": number("Size in bytes."), "rotational": flag("Whether it spins."), "read_only": flag("Whether it refuses writes."),
		}),
		"nics": list("Ethernet ports.", map[string]schema.Attribute{
			"name": text("The kernel's name."), "mac": text("MAC address."), "link": flag("Whether it had a carrier."),
			"speed_mbps": number("Speed in Mbit/s."), "driver": text("Driver."), "lldp": text("The neighbour's system name and port."),
		}),
		"firmware": object("SMBIOS firmware, and how the machine was booted.", map[string]schema.Attribute{
			"vendor": text("Vendor."), "version": text("Version."), "date": text("Date."), "mode": text("`uefi` or `bios`."),
		}),
	}
}
