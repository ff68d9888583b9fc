{{- /* What the schema cannot say in words that help: values that exclude or need each other. */ -}}
{{- define "cognigy-operator.validate" -}}
{{- $level := "(off|error|warn|info|debug|trace)" -}}
{{- range splitList "," .Values.log.level -}}
{{- if not (regexMatch (printf "^([a-z0-9_:]+=)?%s$" $level) .) -}}
{{- fail (printf "log.level: `%s` is neither a level (off, error, warn, info, debug, trace) nor a level of a module such as cognigy_operator=debug" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.allowPrivateCallbacks -}}
{{- if not (regexMatch "^([0-9]{1,3}(\\.[0-9]{1,3}){3}/(3[0-2]|[12]?[0-9])|[0-9a-fA-F]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$" .) -}}
{{- fail (printf "allowPrivateCallbacks: `%s` is not a network such as 10.0.0.0/8 or fd00::/8" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rbac.create .Values.rbac.namespaced (not .Values.watchNamespaces) -}}
{{- fail "rbac.namespaced gives rights in watchNamespaces only, and watchNamespaces is empty: name the namespaces, or set rbac.namespaced to false" -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail (printf "replicaCount is %d and leaderElection.enabled is false: several replicas would work against each other; enable leader election, or set replicaCount to 1" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and (eq (.Values.strategy.type | default "") "RollingUpdate") (not .Values.leaderElection.enabled) -}}
{{- fail "strategy.type is RollingUpdate and leaderElection.enabled is false: the old and the new pod would work at the same time; enable leader election, or leave strategy empty" -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (le (int .Values.replicaCount) 1) -}}
{{- fail "podDisruptionBudget.enabled with one replica would block the drain of its node: set replicaCount to 2 or more, or disable the budget" -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (eq (toString .Values.podDisruptionBudget.minAvailable) "") (eq (toString .Values.podDisruptionBudget.maxUnavailable) "") -}}
{{- fail "podDisruptionBudget needs minAvailable or maxUnavailable" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled: every metric would be read twice; enable one of them" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "serviceMonitor.enabled needs service.enabled; to do without a Service enable podMonitor instead" -}}
{{- end -}}
{{- if and .Values.otlp.enabled (not .Values.otlp.endpoint) -}}
{{- fail "otlp.enabled needs otlp.endpoint, for example http://otel-collector.observability:4318" -}}
{{- end -}}
{{- end -}}
