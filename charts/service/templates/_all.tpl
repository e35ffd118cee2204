{{/*
Everything that one service is; a thin chart's only template is this line. The argument is the chart's root. The defaults of
this library (values.yaml, globals included) stand under the thin chart's own values, which stand under the installation's.
*/}}
{{- define "service.all" -}}
{{- $values := mergeOverwrite (deepCopy .Values.service) (deepCopy (omit .Values "service")) -}}
{{- $root := dict "Values" $values "Chart" .Chart "Release" .Release -}}
{{ include "service.account" $root }}
{{- if $values.serves }}
---
{{ include "service.headless" $root }}
{{- end }}
---
{{ include "service.deployment" $root }}
---
{{ include "service.policy" $root }}
---
{{ include "service.disruption" $root }}
{{- if $values.autoscaling.enabled }}
---
{{ include "service.autoscaler" $root }}
{{- end }}
{{- if $values.door }}
---
{{ include "service.doorService" $root }}
{{- end }}
{{- if $values.devices }}
---
{{ include "service.devicesService" $root }}
{{- end }}
{{- if and $values.media (not $values.media.hostPort) }}
---
{{ include "service.mediaService" $root }}
{{- end }}
{{- end }}
