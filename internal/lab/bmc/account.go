package bmc

import "net/http"

const (
	accountService = root + "/AccountService"
	accounts       = accountService + "/Accounts"
	account        = accounts + "/1"
	roles          = accountService + "/Roles"
	administrator  = roles + "/Administrator"
)

// accountRoutes show the only account. It can't be changed.
func (b *BMC) accountRoutes(r *router) {
	r.get(accountService, fixed(object{
		"@odata.id": accountService, "@odata.type": "#AccountService.v1_12_0.AccountService", "Id": "AccountService",
		"Name": "Account Service", "Status": healthy(), "ServiceEnabled": true, "AccountLockoutThreshold": 0,
		"MinPasswordLength": 1, "Accounts": link(accounts), "Roles": link(roles),
	}))
	r.get(accounts, fixed(collection(accounts, "ManagerAccountCollection", "Accounts", account)))
	r.get(account, func(*http.Request) (object, *failure) {
		return object{
			"@odata.id": account, "@odata.type": "#ManagerAccount.v1_10_0.ManagerAccount", "Id": "1", "Name": "User Account",
			"UserName": b.config.Username, "Password": nil, "RoleId": "Administrator", "Enabled": true, "Locked": false,
			"AccountTypes": []string{"Redfish"}, "Links": object{"Role": link(administrator)},
		}, nil
	})
	r.get(roles, fixed(collection(roles, "RoleCollection", "Roles", administrator)))
	r.get(administrator, fixed(object{
		"@odata.id": administrator, "@odata.type": "#Role.v1_3_1.Role", "Id": "Administrator", "Name": "Administrator Role",
		"RoleId": "Administrator", "IsPredefined": true,
		"AssignedPrivileges": []string{"Login", "ConfigureManager", "ConfigureUsers", "ConfigureSelf", "ConfigureComponents"},
	}))
}
