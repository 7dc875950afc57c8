package bmc

import (
	"fmt"
	"net/http"
	"strings"
)

// registry is the version of the Base message registry that messages refer to
// (DSP8011).
const registry = "Base.1.16.1"

// message is one entry of @Message.ExtendedInfo.
type message struct {
	key        string
	text       string
	args       []string
	severity   Severity
	resolution string
	property   string // JSON pointer of the property at fault
}

// failure is an error response.
type failure struct {
	status   int
	messages []message
	header   map[string]string
}

func fail(status int, messages ...message) *failure {
	return &failure{status: status, messages: messages}
}

// body renders the error object of DSP0266, 8.6.
func (f *failure) body() object {
	var infos []object
	for _, m := range f.messages {
		info := object{
			"@odata.type": "#Message.v1_1_2.Message", "MessageId": registry + "." + m.key, "Message": m.text,
			"MessageArgs": append([]string{}, m.args...), "Severity": m.severity, "MessageSeverity": m.severity,
			"Resolution": m.resolution,
		}
		if m.property != "" {
			info["RelatedProperties"] = []string{m.property}
		}
		infos = append(infos, info)
	}
	code, text := f.messages[0].key, f.messages[0].text
	if len(f.messages) > 1 {
		code, text = "GeneralError", "A general error has occurred. See ExtendedInfo for more information."
	}
	return object{"error": object{"code": registry + "." + code, "message": text, "@Message.ExtendedInfo": infos}}
}

func missing(uri string) *failure {
	return fail(http.StatusNotFound, message{"ResourceMissingAtURI",
		fmt.Sprintf("The resource at the URI '%s' was not found.", uri), []string{uri}, Critical,
		"Place a valid resource at the URI or correct the URI and resubmit the request.", ""})
}

func notAllowed(allow string) *failure {
	f := fail(http.StatusMethodNotAllowed, message{"OperationNotAllowed",
		"The HTTP method is not allowed on this resource.", nil, Critical,
		"None.", ""})
	f.header = map[string]string{"Allow": allow}
	return f
}

func unauthorized(uri string) *failure {
	f := fail(http.StatusUnauthorized, message{"AccessDenied",
		fmt.Sprintf("While accessing the resource at '%s', the service received an authorization error: the credentials or session are missing or wrong.", uri),
		[]string{uri}, Critical,
		"Attempt to ensure that the URI is correct and that the service has the appropriate credentials.", ""})
	f.header = map[string]string{"WWW-Authenticate": `Basic realm="virtual BMC"`}
	return f
}

func internalError() *failure {
	return fail(http.StatusInternalServerError, message{"InternalError",
		"The request failed due to an internal service error. The service is still operational.", nil, Critical,
		"Resubmit the request. If the problem persists, consider resetting the service.", ""})
}

func malformed(why string) *failure {
	return fail(http.StatusBadRequest, message{"MalformedJSON",
		"The request body submitted was malformed JSON and could not be parsed by the receiving service: " + why, nil, Critical,
		"Ensure that the request body is valid JSON and resubmit the request.", ""})
}

func queryUnsupported(parameter string) *failure {
	return fail(http.StatusNotImplemented, message{"QueryParameterUnsupported",
		fmt.Sprintf("Query parameter '%s' is not supported.", parameter), []string{parameter}, Warning,
		"Correct or remove the query parameter and resubmit the request.", ""})
}

func queryValue(parameter, value string) *failure {
	return fail(http.StatusBadRequest, message{"QueryParameterValueFormatError",
		fmt.Sprintf("The value '%s' for the parameter %s is of a different format than the parameter can accept.", value, parameter),
		[]string{value, parameter}, Warning, "Correct the value for the query parameter in the request and resubmit the request.", ""})
}

func notInList(property string, value any) message {
	return message{"PropertyValueNotInList",
		fmt.Sprintf("The value '%v' for the property %s is not in the list of acceptable values.", value, leaf(property)),
		[]string{fmt.Sprint(value), leaf(property)}, Warning,
		"Choose a value from the enumeration list that the implementation can support and resubmit the request if the operation failed.", property}
}

func typeError(property string, value any) message {
	return message{"PropertyValueTypeError",
		fmt.Sprintf("The value '%v' for the property %s is not a type that the property can accept.", value, leaf(property)),
		[]string{fmt.Sprint(value), leaf(property)}, Warning,
		"Correct the value for the property in the request body and resubmit the request if the operation failed.", property}
}

func formatError(property string, value any) message {
	return message{"PropertyValueFormatError",
		fmt.Sprintf("The value '%v' for the property %s is not a format that the property can accept.", value, leaf(property)),
		[]string{fmt.Sprint(value), leaf(property)}, Warning,
		"Correct the value for the property in the request body and resubmit the request if the operation failed.", property}
}

func unknownProperty(property string) message {
	return message{"PropertyUnknown",
		fmt.Sprintf("The property %s is not in the list of valid properties for the resource.", leaf(property)),
		[]string{leaf(property)}, Warning,
		"Remove the unknown property from the request body and resubmit the request if the operation failed.", property}
}

func notWritable(property string) message {
	return message{"PropertyNotWritable",
		fmt.Sprintf("The property %s is a read-only property and cannot be assigned a value.", leaf(property)),
		[]string{leaf(property)}, Warning,
		"Remove the property from the request body and resubmit the request if the operation failed.", property}
}

func missingParameter(action, parameter string) *failure {
	return fail(http.StatusBadRequest, message{"ActionParameterMissing",
		fmt.Sprintf("The action %s requires the parameter %s to be present in the request body.", action, parameter),
		[]string{action, parameter}, Critical,
		"Supply the action with the required parameter in the request body when the request is resubmitted.", ""})
}

func badParameter(action, parameter string, value any) *failure {
	return fail(http.StatusBadRequest, message{"ActionParameterValueNotInList",
		fmt.Sprintf("The value '%v' for the parameter %s in the action %s is not in the list of acceptable values.", value, parameter, action),
		[]string{fmt.Sprint(value), parameter, action}, Warning,
		"Choose a value from the enumeration list that the implementation can support and resubmit the request.", ""})
}

func parameterType(action, parameter string, value any) *failure {
	return fail(http.StatusBadRequest, message{"ActionParameterValueTypeError",
		fmt.Sprintf("The value '%v' for the parameter %s in the action %s is of a different type than the parameter can accept.", value, parameter, action),
		[]string{fmt.Sprint(value), parameter, action}, Warning,
		"Correct the value for the parameter in the request body and resubmit the request if the operation failed.", ""})
}

func unknownParameter(action, parameter string) *failure {
	return fail(http.StatusBadRequest, message{"ActionParameterUnknown",
		fmt.Sprintf("The action %s was submitted with the invalid parameter %s.", action, parameter),
		[]string{action, parameter}, Warning,
		"Correct the invalid parameter and resubmit the request if the operation failed.", ""})
}

// inStandby refuses an operation that needs power.
func inStandby() *failure {
	return fail(http.StatusConflict, message{"ResourceInStandby",
		"The request could not be performed because the resource is in standby.", nil, Critical,
		"Ensure that the resource is in the correct power state and resubmit the request.", ""})
}

// leaf is the last part of a JSON pointer.
func leaf(pointer string) string { return pointer[strings.LastIndexByte(pointer, '/')+1:] }
