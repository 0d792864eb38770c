{{/* The chart's name, or the one given. */}}
{{- define "swr-exporter.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. Names of Services have 63 characters at most. */}}
{{- define "swr-exporter.fullname" -}}
{{- $name := include "swr-exporter.name" . }}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "swr-exporter.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "swr-exporter.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "swr-exporter.fullname" .) "default") }}
{{- end }}

{{- define "swr-exporter.image" -}}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* How the exporter is reached. */}}
{{- define "swr-exporter.scheme" -}}
http{{ if and .Values.webConfig.existingSecret .Values.webConfig.tls }}s{{ end }}
{{- end }}

{{/* What all paths begin with but those of the probes. */}}
{{- define "swr-exporter.prefix" -}}
{{- .Values.web.routePrefix | default (get (urlParse .Values.web.externalUrl) "path") | trimSuffix "/" }}
{{- end }}

{{- define "swr-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "swr-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "swr-exporter.labels" -}}
{{ include "swr-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Metadata of an object. Takes a dict: root, and where wanted name, namespace, labels and annotations.
Maps are merged before they are written, so that no key is written twice; the chart's own labels win.
*/}}
{{- define "swr-exporter.metadata" -}}
{{- $labels := include "swr-exporter.labels" .root | fromYaml -}}
name: {{ .name | default (include "swr-exporter.fullname" .root) }}
namespace: {{ .namespace | default (include "swr-exporter.namespace" .root) }}
labels:
  {{- merge $labels (deepCopy (.labels | default dict)) (deepCopy .root.Values.commonLabels) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The names of the accounts that have a page of their own. A single account is on /metrics. */}}
{{- define "swr-exporter.accounts" -}}
{{- $accounts := .Values.config.accounts | default dict }}
{{- if gt (len $accounts) 1 }}{{- keys $accounts | sortAlpha | toYaml }}{{- else }}[]{{- end }}
{{- end }}

{{/* Values that contradict each other, all at once. */}}
{{- define "swr-exporter.validate" -}}
{{- $problems := list }}
{{- with .Values }}
{{- if and .config (or .region .endpoint) }}
{{- $problems = append $problems "set either `config` or `region` and `endpoint`: with `config` they belong to its accounts" }}
{{- end }}
{{- if and .probe.enabled (not .config.accounts) }}
{{- $problems = append $problems "`probe` needs `config.accounts`: its targets are their names" }}
{{- end }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- $problems = append $problems "enable `serviceMonitor` or `podMonitor`: both would scrape everything twice" }}
{{- end }}
{{- if and .persistence.existingClaim (gt (int .replicas) 1) }}
{{- $problems = append $problems "`persistence.existingClaim` is for one replica: without it, each replica gets a claim of its own" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- $problems = append $problems "`ingress` needs `hosts`" }}
{{- end }}
{{- end }}
{{- if .Values.prometheusRule.enabled }}
{{- $problems = concat $problems (include "swr-exporter.rules.problems" . | fromYamlArray) }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n  - %s" (join "\n  - " $problems)) }}
{{- end }}
{{- end }}
