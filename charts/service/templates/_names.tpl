{{/* A service's objects are named <installation>-<service>, so that one installed alone finds the others. The argument is the root. */}}
{{- define "service.name" -}}
{{ .Values.global.installation }}-{{ .Chart.Name }}
{{- end }}

{{/* What a selector holds: never changes over an upgrade. */}}
{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Values.global.installation }}
{{- end }}

{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/part-of: openrtcc
app.kubernetes.io/version: {{ include "service.tag" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "service.meta" -}}
name: {{ include "service.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- end }}

{{- define "service.tag" -}}
{{ .Values.global.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "service.image" -}}
{{ required "global.image.repository: the registry and folder into which `./rtcc images --push` put the images" .Values.global.image.repository }}/{{ .Chart.Name }}:{{ include "service.tag" . }}
{{- end }}

{{/* This service's own secret: token key, database address, NATS credentials. */}}
{{- define "service.secret" -}}
{{ .Values.secret | default (include "service.name" .) }}
{{- end }}
