package host

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Schema of metal_host, version 0.
func Schema(ctx context.Context) schema.Schema {
	attributes := configured(ctx)
	for name, attribute := range observed() {
		attributes[name] = attribute
	}
	return schema.Schema{
		Version: 0,
		MarkdownDescription: "One physical server, known by its BMC and the port it boots from. Creating it reads the BMC, writes down what " +
			"will be changed, boots the installer in RAM, inspects the server and switches it off: it is then *available*. " +
			"Destroying it wipes what was installed (see `wipe`), puts the BMC back as it was found and reads it back.\n\n" +
			"The resource never installs an operating system by itself: `metal_cluster` does, on the hosts it names.",
		Attributes: attributes,
	}
}

func configured(ctx context.Context) map[string]schema.Attribute {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return map[string]schema.Attribute{
		"facility": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "The `id` of the `metal_facility` that the host belongs to."},
		"name": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "The host's name in its facility, and its hostname: an RFC 1123 label."},
		"bmc": schema.SingleNestedAttribute{Required: true, Attributes: bmc(),
			MarkdownDescription: "How the host is controlled out of band."},
		"boot_mac": schema.StringAttribute{Required: true,
			MarkdownDescription: "MAC address of the port that the host boots from."},
		"boot_method": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("auto"),
			MarkdownDescription: "`auto` (default: the best that the hardware offers), `uefi-http` or `pxe`."},
		"network": schema.StringAttribute{Optional: true, PlanModifiers: replace,
			MarkdownDescription: "The facility's network that `boot_mac` is on; may be left out when the facility has one."},
		"root_device": schema.SingleNestedAttribute{Optional: true, Attributes: rootDevice(),
			MarkdownDescription: "Selects the disk that images are written to; all given hints must match. Without it the host must have one disk."},
		"labels": schema.MapAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "For selection; they have no effect on the host."},
		"wipe": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("own"),
			MarkdownDescription: "Which data may be destroyed: `own` (default) wipes the root disk when the host is given back if this provider wrote it, " +
				"and refuses to write over data that it did not write; `any` also allows writing over foreign data on the root disk; " +
				"`never` leaves the root disk as it is when the host is given back."},
		"phase_timeouts": schema.SingleNestedAttribute{Optional: true, Attributes: phaseTimeouts(),
			MarkdownDescription: "Bounds of single phases, for slow hardware."},
		"abandon_on_destroy": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Forget the host on destroy even if its BMC does not answer. What could not be put back is listed in a warning: " +
				"it is the written record of what is left to do by hand. Apply this before the destroy. Default `false`."},
		"timeouts": timeouts.Attributes(ctx, timeouts.Opts{Create: true, Read: true, Update: true, Delete: true,
			CreateDescription: "From the first contact to *available*. Default `1h`.", ReadDescription: "Default `2m`.",
			UpdateDescription: "Default `1h`.", DeleteDescription: "Wiping included. Default `1h`."}),
	}
}

func bmc() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"url": schema.StringAttribute{Required: true,
			MarkdownDescription: "The Redfish service, such as `https://10.0.0.5`."},
		"credentials": schema.StringAttribute{Required: true,
			MarkdownDescription: "The *name* of the username and password, which the provider block, the environment or the credentials folder resolves at run time. They are never in the state."},
		"fingerprint": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Pins the BMC's certificate: SHA-256 of its DER form in hex, colons allowed. At most one of `fingerprint`, `ca`, `insecure`; with none, the system's roots verify it."},
		"ca": schema.StringAttribute{Optional: true,
			MarkdownDescription: "PEM bundle that the BMC's certificate must verify against."},
		"insecure": schema.BoolAttribute{Optional: true,
			MarkdownDescription: "Accepts any certificate: whoever is on the management network can then read the password."},
		"system_id": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Selects one system of a BMC that has several."},
	}
}

func rootDevice() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name":        schema.StringAttribute{Optional: true, MarkdownDescription: "The kernel's path, such as `/dev/sda`; may change from boot to boot."},
		"by_path":     schema.StringAttribute{Optional: true, MarkdownDescription: "Name below `/dev/disk/by-path`."},
		"model":       schema.StringAttribute{Optional: true, MarkdownDescription: "Part of the model, case ignored."},
		"vendor":      schema.StringAttribute{Optional: true, MarkdownDescription: "Part of the vendor, case ignored."},
		"serial":      schema.StringAttribute{Optional: true, MarkdownDescription: "Serial number, case ignored."},
		"wwn":         schema.StringAttribute{Optional: true, MarkdownDescription: "World Wide Name, case ignored."},
		"min_size_gb": schema.Int64Attribute{Optional: true, MarkdownDescription: "Smallest size in units of 10^9 bytes."},
		"max_size_gb": schema.Int64Attribute{Optional: true, MarkdownDescription: "Largest size in units of 10^9 bytes."},
		"rotational":  schema.BoolAttribute{Optional: true, MarkdownDescription: "`true` for spinning, `false` for solid-state disks."},
	}
}

func phaseTimeouts() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"boot_seconds":  schema.Int64Attribute{Optional: true, MarkdownDescription: "From power-on to the installer's first report. Default 900."},
		"power_seconds": schema.Int64Attribute{Optional: true, MarkdownDescription: "For a power change to be read back. Default 180."},
		"stall_seconds": schema.Int64Attribute{Optional: true, MarkdownDescription: "How long imaging or wiping may make no progress. Default 300."},
	}
}

func observed() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			MarkdownDescription: "`<facility>#<name>`; also the string to import by."},
		"state": schema.StringAttribute{Computed: true,
			MarkdownDescription: "`enrolling`, `available`, `provisioning`, `provisioned`, `deprovisioning` or `releasing`."},
		"power": schema.StringAttribute{Computed: true, MarkdownDescription: "`on` or `off`, as the BMC said when it was asked last."},
		"phase": schema.StringAttribute{Computed: true, MarkdownDescription: "What the host was at when it was left unfinished; null when `ready`."},
		"ready": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the host is enrolled. While `false`, the next apply continues in place."},
		"addresses": schema.ListAttribute{Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Addresses claimed for the host, with prefix length."},
		"hardware": schema.SingleNestedAttribute{Computed: true, Attributes: hardware(),
			MarkdownDescription: "What the last inspection found."},
	}
}
