{{/* The groups of rules/thresholds.yml, rules/recording.yml and rules/alerts.yml as they are shipped, below `groups`. */}}
{{- define "swr-exporter.rules.shipped" -}}
{{- $groups := list }}
{{- range $file := list "thresholds" "recording" "alerts" }}
{{- $groups = concat $groups ($.Files.Get (printf "dashboards/rules/%s.yml" $file) | fromYaml).groups }}
{{- end }}
{{- dict "groups" $groups | toJson }}
{{- end }}

{{/* The same with the values of `prometheusRule`. */}}
{{- define "swr-exporter.rules" -}}
{{- $values := .Values.prometheusRule }}
{{- $thresholds := deepCopy $values.thresholds }}
{{- $groups := list }}
{{- range $group := (include "swr-exporter.rules.shipped" . | fromJson).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- $record := $rule.record | default "" }}
{{- $threshold := trimPrefix "swr:threshold:" $record }}
{{- if eq $record "swr:address" }}
{{- $_ := set $rule "labels" (merge (include "swr-exporter.present" $values.addresses | fromYaml) $rule.labels) }}
{{- else if hasKey $thresholds $threshold }}
{{- $_ := set $rule "expr" (printf "vector(%v)" (get $thresholds $threshold)) }}
{{- $_ := unset $thresholds $threshold }}
{{- else if $rule.alert }}
{{- $_ := set $rule "labels" (merge (deepCopy $rule.labels) $values.additionalRuleLabels) }}
{{- end }}
{{- if not (has $rule.alert $values.disabled) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $groups = append $groups (mergeOverwrite $group (dict "rules" $rules)) }}
{{- end }}
{{- end }}
{{- /* Limits of one's own, which are not shipped. */}}
{{- $additional := list }}
{{- range $threshold, $value := $thresholds }}
{{- $additional = append $additional (dict "record" (printf "swr:threshold:%s" $threshold) "expr" (printf "vector(%v)" $value)) }}
{{- end }}
{{- with concat $additional $values.additionalRules }}
{{- $groups = append $groups (dict "name" "swr-additional" "rules" .) }}
{{- end }}
{{- toYaml $groups }}
{{- end }}

{{/* Thresholds and alerts that there are not, as a list of sentences. */}}
{{- define "swr-exporter.rules.problems" -}}
{{- $values := .Values.prometheusRule }}
{{- $rules := include "swr-exporter.rules.shipped" . }}
{{- $problems := list }}
{{- range $threshold, $_ := $values.thresholds }}
{{- if not (regexMatch (printf "swr:threshold:%s\\b" $threshold) $rules) }}
{{- $problems = append $problems (printf "`prometheusRule.thresholds`: no rule reads a threshold `%s`" $threshold) }}
{{- end }}
{{- end }}
{{- range $alert := $values.disabled }}
{{- if not (contains (printf "\"alert\":%q" $alert) $rules) }}
{{- $problems = append $problems (printf "`prometheusRule.disabled`: there is no alert `%s`" $alert) }}
{{- end }}
{{- end }}
{{- toYaml $problems }}
{{- end }}
