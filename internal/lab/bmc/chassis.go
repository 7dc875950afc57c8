package bmc

import "net/http"

const (
	chassisCollection = root + "/Chassis"
	chassis           = chassisCollection + "/1"
)

func (b *BMC) chassisRoutes(r *router) {
	h := b.config.Hardware
	r.get(chassisCollection, fixed(collection(chassisCollection, "ChassisCollection", "Chassis", chassis)))
	r.get(chassis, func(*http.Request) (object, *failure) {
		power := "Off"
		if b.config.Machine.On() {
			power = "On"
		}
		return object{
			"@odata.id": chassis, "@odata.type": "#Chassis.v1_21_0.Chassis", "Id": "1", "Name": "Chassis of " + h.Name,
			"ChassisType": "RackMount", "Manufacturer": h.Manufacturer, "Model": h.Model, "SerialNumber": h.Serial,
			"PowerState": power, "Status": healthy(),
			"Links": object{"ComputerSystems": links(system), "ManagedBy": links(manager)},
		}, nil
	})
}
