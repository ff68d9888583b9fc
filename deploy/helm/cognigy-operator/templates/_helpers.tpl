{{- define "cognigy-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cognigy-operator.fullname" -}}
{{- $name := include "cognigy-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Of objects without a namespace: releases of the same name in two namespaces must not share them. */ -}}
{{- define "cognigy-operator.clusterName" -}}
{{- printf "%s-%s" (include "cognigy-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "cognigy-operator.serviceAccountName" -}}
{{- $default := ternary (include "cognigy-operator.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- /* Only these are in selectors, which cannot be changed: nothing that a version or a value changes belongs here. */ -}}
{{- define "cognigy-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cognigy-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels of an object: its own ones in "own" win over the common ones, the chart's over both. */ -}}
{{- define "cognigy-operator.labels" -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/component" "operator"
  "app.kubernetes.io/part-of" "cognigy-operator"
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $selector := include "cognigy-operator.selectorLabels" .root | fromYaml -}}
{{- toYaml (mergeOverwrite (dict) .root.Values.commonLabels (.own | default dict) $chart $selector) -}}
{{- end -}}

{{- /* The metadata's annotations, where there are any. */ -}}
{{- define "cognigy-operator.annotations" -}}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (.own | default dict) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* The name that the operator gives its Lease (src/cluster/lease/name.rs), for the Role: words of the scope, and a digest of it. */ -}}
{{- define "cognigy-operator.leaseName" -}}
{{- $namespaces := .Values.watchNamespaces | uniq | sortAlpha | join "," -}}
{{- $digest := printf "%s/%s" $namespaces .Values.watchLabelSelector | sha256sum | trunc 8 -}}
{{- $words := printf "%s-%s" ($namespaces | default "all") .Values.watchLabelSelector | lower -}}
{{- $readable := regexReplaceAll "[^a-z0-9]+" $words "-" | trimAll "-" | trunc 37 | trimSuffix "-" -}}
{{- printf "cognigy-operator-%s-%s" $readable $digest -}}
{{- end -}}

{{- define "cognigy-operator.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* The port of the collector of traces. */}}
{{- define "cognigy-operator.otlpPort" -}}
{{- $url := urlParse .Values.otlp.endpoint -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}

{{- define "cognigy-operator.args" -}}
- run
{{- with .Values.watchNamespaces }}
- {{ printf "--watch-namespaces=%s" (join "," .) | quote }}
{{- end }}
{{- with .Values.watchLabelSelector }}
- {{ printf "--watch-label-selector=%s" . | quote }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
- --leader-elect
- {{ printf "--leader-election-namespace=%s" .Release.Namespace | quote }}
{{- end }}
- --max-concurrent-reconciles={{ int .Values.maxConcurrentReconciles }}
- --shutdown-grace-seconds={{ sub (int .Values.terminationGracePeriodSeconds) 5 }}
- --log-format={{ .Values.log.format }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
{{- if .Values.otlp.enabled }}
- {{ printf "--otlp-endpoint=%s" .Values.otlp.endpoint | quote }}
{{- end }}
{{- if .Values.allowInsecureHttp }}
- --allow-insecure-http
{{- end }}
{{- with .Values.allowPrivateCallbacks }}
- {{ printf "--allow-private-callbacks=%s" (join "," .) | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ tpl . $ | quote }}
{{- end }}
{{- end -}}
