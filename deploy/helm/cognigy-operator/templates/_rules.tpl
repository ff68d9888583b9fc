{{- /* What the operator does with the API server, in each namespace that it watches; nothing else is needed anywhere. A test runs the
operator with these rights: nothing is refused, and none of them goes unused. */ -}}
{{- define "cognigy-operator.rules" -}}
# Specs are read; patched are only the operator's finalizer and its annotation.
- apiGroups: [cognigy.io]
  resources: [cognigytenants, cognigywebhooks]
  verbs: [get, list, watch, patch]
- apiGroups: [cognigy.io]
  resources: [retrypolicies]
  verbs: [get, list, watch]
- apiGroups: [cognigy.io]
  resources: [cognigytenants/status, retrypolicies/status, cognigywebhooks/status]
  verbs: [patch]
# Metadata is watched, data is read when it is used.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch]
# Its labels, for tenants with allowedNamespaces.from: Selector; and whether it is being deleted, before a registration.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
# The audit trail.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
