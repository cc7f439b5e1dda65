{{- define "name" -}}
gardener-extension-cri-resmgr
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "image" -}}
{{- if hasPrefix "sha256:" .Values.image.tag -}}
{{ .Values.image.repository }}@{{ .Values.image.tag }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "priorityClassName" -}}
{{ .Values.priorityClassName | default ((.Values.gardener).runtimeCluster).priorityClassName | default "gardener-system-900" }}
{{- end -}}

{{- define "monitoring" -}}
{{- $parts := list -}}
{{- if .Values.monitoring.scrapeConfig }}{{ $parts = append $parts "scrapeConfig" }}{{ end -}}
{{- if .Values.monitoring.prometheusRule }}{{ $parts = append $parts "prometheusRule" }}{{ end -}}
{{- if .Values.monitoring.dashboard }}{{ $parts = append $parts "dashboard" }}{{ end -}}
{{ join "," $parts }}
{{- end -}}
