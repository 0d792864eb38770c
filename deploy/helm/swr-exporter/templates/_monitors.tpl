{{/*
The endpoints of a ServiceMonitor or a PodMonitor: the exporter, and each of several accounts. An endpoint is put together as a
map, so that no field is written twice.

honorLabels: the exporter's label `namespace` is the organization in SWR. Without it, Prometheus would keep the Kubernetes
namespace of the target under that name and call the organization `exported_namespace`.
*/}}
{{- define "swr-exporter.endpoints" -}}
{{- $settings := .Values.serviceMonitor }}
{{- $prefix := include "swr-exporter.prefix" . }}
{{- $common := include "swr-exporter.scrape" . | fromYaml }}
{{- $_ := set $common "port" "http" }}
{{- $_ := set $common "honorLabels" $settings.honorLabels }}
{{- $common = mergeOverwrite $common (deepCopy (omit $settings.endpoint "relabelings")) }}
{{- $relabelings := concat $settings.relabelings ($settings.endpoint.relabelings | default list) }}
{{- $endpoints := list (merge (dict "path" (printf "%s/metrics" $prefix) "relabelings" $relabelings) (deepCopy $common)) }}
{{- if not .Values.probe.enabled }}
{{- range $account := include "swr-exporter.accounts" . | fromYamlArray }}
{{- $own := dict "targetLabel" "account" "replacement" $account }}
{{- $account := dict "path" (printf "%s/probe" $prefix) "params" (dict "account" (list $account)) "relabelings" (prepend $relabelings $own) }}
{{- $endpoints = append $endpoints (merge $account (deepCopy $common)) }}
{{- end }}
{{- end }}
{{- range $endpoints }}
- {{ include "swr-exporter.present" . | indent 2 | trim }}
{{- end }}
{{- end }}

{{/* What ServiceMonitor, PodMonitor and Probe say of a scrape alike. */}}
{{- define "swr-exporter.scrape" -}}
{{- $scrape := pick .Values.serviceMonitor "interval" "scrapeTimeout" "scheme" "tlsConfig" "basicAuth" "authorization" "metricRelabelings" }}
{{- $_ := set $scrape "scheme" ($scrape.scheme | default (include "swr-exporter.scheme" .)) }}
{{- include "swr-exporter.present" $scrape }}
{{- end }}

{{/* Metadata of a monitor. */}}
{{- define "swr-exporter.monitor.metadata" -}}
{{- with .Values.serviceMonitor }}
{{- include "swr-exporter.metadata" (dict "root" $ "namespace" .namespace "labels" .labels "annotations" .annotations) }}
{{- end }}
{{- end }}

{{/* The rest of the specification of a ServiceMonitor or a PodMonitor. */}}
{{- define "swr-exporter.monitor.spec" -}}
{{- with include "swr-exporter.present" (pick .Values.serviceMonitor "jobLabel" "podTargetLabels" "sampleLimit") -}}
{{ . }}
{{ end -}}
namespaceSelector:
  matchNames: [{{ include "swr-exporter.namespace" . }}]
selector:
  matchLabels:
    {{- include "swr-exporter.selectorLabels" . | nindent 4 }}
{{- end }}
