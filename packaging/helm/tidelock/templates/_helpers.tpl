{{- define "tidelock.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "tidelock.selector" -}}
app.kubernetes.io/name: tidelock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidelock.labels" -}}
{{ include "tidelock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tidelock.scheme" -}}
{{- if .Values.tls.secret }}HTTPS{{ else }}HTTP{{ end -}}
{{- end }}

{{- /* What cannot be served is refused before it is installed. */}}
{{- define "tidelock.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.postgresql.secret) }}
{{- fail "several replicas need postgresql.secret: a data directory belongs to one server at a time" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.keyring.secret) }}
{{- fail "several replicas need keyring.secret: all of them seal with the same keys" }}
{{- end }}
{{- end }}
