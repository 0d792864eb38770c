{{/* The pod, of a Deployment or a StatefulSet. */}}
{{- define "swr-exporter.pod" -}}
metadata:
  labels:
    {{- $labels := include "swr-exporter.selectorLabels" . | fromYaml }}
    {{- merge $labels (deepCopy .Values.podLabels) (deepCopy .Values.commonLabels) | toYaml | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "swr-exporter.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
  # Variables of other services would only fill the environment.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy | default (.Values.hostNetwork | ternary "ClusterFirstWithHostNet" "") }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- /* Passed on as they are, where they are set. */}}
  {{- $passed := pick .Values "imagePullSecrets" "dnsConfig" "hostAliases" "initContainers" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
  {{- $_ := set $passed "securityContext" .Values.podSecurityContext }}
  {{- include "swr-exporter.present" $passed | nindent 2 }}
  containers:
    - name: exporter
      image: {{ include "swr-exporter.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "swr-exporter.args" . | nindent 8 }}
      ports:
        - { name: http, containerPort: {{ .Values.containerPort }}, protocol: TCP }
      # None depends on the cloud: an outage there must not restart exporters that serve the last good data.
      {{- range $kind, $path := dict "livenessProbe" "/-/healthy" "readinessProbe" "/-/ready" "startupProbe" "/-/healthy" }}
      {{- with get $.Values $kind }}
      {{ $kind }}:
        {{- include "swr-exporter.probe" (dict "root" $ "probe" . "path" $path) | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- include "swr-exporter.present" (dict "env" .Values.extraEnv "envFrom" .Values.envFrom "securityContext" .Values.securityContext "resources" .Values.resources) | nindent 6 }}
      volumeMounts:
        - { name: state, mountPath: /var/lib/swr-exporter }
        {{- if .Values.existingSecret }}
        - { name: secret, mountPath: /run/secrets/swr-exporter, readOnly: true }
        {{- end }}
        {{- if .Values.config }}
        - { name: config, mountPath: /etc/swr-exporter, readOnly: true }
        {{- end }}
        {{- if .Values.webConfig.existingSecret }}
        - { name: web, mountPath: /run/secrets/swr-exporter-web, readOnly: true }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "swr-exporter.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The fields of a dict that have a value. */}}
{{- define "swr-exporter.present" -}}
{{- $present := dict }}
{{- range $field, $value := . }}
{{- if $value }}{{- $_ := set $present $field $value }}{{- end }}
{{- end }}
{{- if $present }}{{- toYaml $present }}{{- end }}
{{- end }}

{{- define "swr-exporter.args" -}}
{{- if not (contains "--web.listen-address" (join " " .Values.extraArgs)) -}}
- --web.listen-address=:{{ .Values.containerPort }}
{{ end -}}
- --cache.directory=/var/lib/swr-exporter
{{- if .Values.config }}
- --config.file=/etc/swr-exporter/accounts.yml
{{- else }}
{{- with .Values.region }}
- --swr.region={{ . }}
{{- end }}
{{- with .Values.endpoint }}
- --swr.endpoint={{ . }}
{{- end }}
{{- if .Values.existingSecret }}
- --credentials.access-key-file=/run/secrets/swr-exporter/access-key
- --credentials.secret-key-file=/run/secrets/swr-exporter/secret-key
{{- end }}
{{- end }}
{{- with .Values.web.externalUrl }}
- --web.external-url={{ . }}
{{- end }}
{{- with .Values.web.routePrefix }}
- --web.route-prefix={{ . }}
{{- end }}
{{- if .Values.webConfig.existingSecret }}
- --web.config.file=/run/secrets/swr-exporter-web/web.yml
{{- end }}
{{- range .Values.collectors }}
- --{{ hasPrefix "-" . | ternary "no-" "" }}collector.{{ trimPrefix "-" . }}
{{- end }}
{{- with .Values.cache.window }}
- --cache.window={{ . }}
{{- end }}
{{- with .Values.cache.maxAge }}
- --cache.max-age={{ . }}
{{- end }}
- --log.level={{ .Values.log.level }}
- --log.format={{ .Values.log.format }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A probe, with a handler of the chart where it has none. */}}
{{- define "swr-exporter.probe" -}}
{{- $handler := dict }}
{{- if not (or .probe.httpGet .probe.exec .probe.tcpSocket .probe.grpc) }}
{{- $handler = dict "httpGet" (dict "path" .path "port" "http") }}
{{- /* The kubelet has neither certificate nor password; this needs none. */}}
{{- if .root.Values.webConfig.existingSecret }}
{{- $handler = dict "exec" (dict "command" (list "/swr-exporter" "healthcheck")) }}
{{- end }}
{{- end }}
{{- merge $handler (deepCopy .probe) | toYaml }}
{{- end }}

{{- define "swr-exporter.volumes" -}}
{{- with .Values.persistence }}
{{- if not .enabled -}}
- name: state
  emptyDir:
    {{- toYaml .emptyDir | nindent 4 }}
{{- else if .existingClaim -}}
- name: state
  persistentVolumeClaim: { claimName: {{ .existingClaim }} }
{{- end }}
{{- end }}
{{- with .Values.existingSecret }}
# Files are read again when they change, so a rotated secret needs no restart.
- name: secret
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- if .Values.config }}
- name: config
  configMap: { name: {{ include "swr-exporter.fullname" . }} }
{{- end }}
{{- with .Values.webConfig.existingSecret }}
- name: web
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
