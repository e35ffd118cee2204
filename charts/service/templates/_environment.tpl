{{/* One setting's value as the text that RTCC_* variables hold. Numbers through JSON: Helm would write 8388608 as 8.388608e+06. */}}
{{- define "service.text" -}}
{{- if kindIs "slice" . -}}
{{ join "," . }}
{{- else if kindIs "string" . -}}
{{ . }}
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end }}

{{/* Where those that this service calls answer. */}}
{{- define "service.addresses" -}}
{{- $addresses := dict -}}
{{- range .Values.calls -}}
{{- $_ := set $addresses . (printf "dns:///%s-%s.%s.svc:7000" $.Values.global.installation . $.Release.Namespace) -}}
{{- end -}}
{{ toJson $addresses }}
{{- end }}

{{- define "service.environment" -}}
{{- $global := .Values.global -}}
- name: RTCC_MODE
  value: production
{{- if .Values.serves }}
- name: RTCC_RPC_LISTEN
  value: 0.0.0.0:7000
{{- end }}
- name: RTCC_HEALTH_LISTEN
  value: 0.0.0.0:7001
- name: RTCC_METRICS_LISTEN
  value: 0.0.0.0:9090
- name: RTCC_RPC_ADDRESSES
  value: {{ include "service.addresses" . | quote }}
- name: RTCC_TOKEN_KEY_FILE
  value: /etc/rtcc/secret/token.pem
- name: RTCC_TOKEN_TRUST_FILE
  value: /etc/rtcc/trust/trust.json
- name: RTCC_TLS_AUTHORITY_FILE
  value: /etc/rtcc/tls/ca.crt
- name: RTCC_TLS_CERTIFICATE_FILE
  value: /etc/rtcc/tls/tls.crt
- name: RTCC_TLS_KEY_FILE
  value: /etc/rtcc/tls/tls.key
{{- if .Values.stores.postgresql }}
- name: RTCC_DATABASE_URL_FILE
  value: /etc/rtcc/secret/database-url
{{- end }}
- name: RTCC_NATS_URL
  value: {{ $global.nats.url | quote }}
{{- if eq $global.nats.signIn "credentials" }}
- name: RTCC_NATS_CREDENTIALS
  value: /etc/rtcc/secret/nats.creds
{{- else }}
- name: RTCC_NATS_USER
  value: {{ .Chart.Name }}
- name: RTCC_NATS_PASSWORD_FILE
  value: /etc/rtcc/secret/nats-password
{{- end }}
{{- if $global.nats.authority }}
- name: RTCC_NATS_AUTHORITY
  value: /etc/rtcc/authorities/{{ $global.nats.authority }}
{{- end }}
- name: RTCC_STREAM_SIZE_FACTOR
  value: {{ $global.nats.streamSizeFactor | quote }}
{{- if .Values.stores.objects }}
- name: RTCC_S3_ENDPOINT
  value: {{ $global.objects.endpoint | quote }}
- name: RTCC_S3_SECURE
  value: {{ $global.objects.secure | quote }}
- name: RTCC_S3_BUCKET_PREFIX
  value: {{ $global.objects.bucketPrefix | quote }}
- name: RTCC_S3_ACCESS_KEY_FILE
  value: /etc/rtcc/objects/access-key
- name: RTCC_S3_SECRET_KEY_FILE
  value: /etc/rtcc/objects/secret-key
{{- with $global.objects.authority }}
- name: RTCC_S3_AUTHORITY
  value: /etc/rtcc/authorities/{{ . }}
{{- end }}
{{- end }}
{{- if $global.telemetry.endpoint }}
- name: RTCC_OTLP_ENDPOINT
  value: {{ $global.telemetry.endpoint | quote }}
{{- end }}
- name: RTCC_LOG_LEVEL
  value: {{ $global.logLevel }}
- name: HOME
  value: /tmp
- name: MALLOC_ARENA_MAX
  value: "2"
{{- $prefix := printf "RTCC_%s" (upper .Chart.Name) }}
{{- range $name, $value := .Values.settings }}
- name: {{ $prefix }}_{{ upper $name }}
  value: {{ include "service.text" $value | quote }}
{{- end }}
{{- with .Values.originSetting }}
- name: {{ $prefix }}_{{ upper . }}
  value: {{ $global.origin | quote }}
{{- end }}
{{- range $name, $key := .Values.secretSettings }}
{{- if $key }}
- name: {{ $prefix }}_{{ upper $name }}{{ if not (hasSuffix "_file" $name) }}_FILE{{ end }}
  value: /etc/rtcc/secret/{{ $key }}
{{- end }}
{{- end }}
{{- if .Values.kubernetesAccess }}
- name: {{ $prefix }}_NAMESPACE
  value: {{ .Release.Namespace }}
{{- end }}
{{- if .Values.door }}
- name: RTCC_GATEWAY_LISTEN
  value: 0.0.0.0:8443
- name: RTCC_GATEWAY_ORIGIN
  value: {{ required "global.origin: the address that people type, https://rtcc.example.org" $global.origin | quote }}
- name: RTCC_GATEWAY_CERTIFICATE_FILE
  value: /etc/rtcc/door/tls.crt
- name: RTCC_GATEWAY_CERTIFICATE_KEY_FILE
  value: /etc/rtcc/door/tls.key
{{- end }}
{{- with .Values.devices }}
{{- if .setting }}
- name: {{ $prefix }}_{{ upper .setting }}
  value: 0.0.0.0:{{ .port }}
{{- end }}
{{- end }}
{{- if include "service.detects" . }}
{{- with .Values.detector }}
- name: {{ $prefix }}_DETECTOR_MODEL_FILE
  value: /etc/rtcc/detector/{{ required "detector.model: the name of the model's file in detector.volume" .model }}
- name: {{ $prefix }}_DETECTOR_MODEL_SHA256
  value: {{ required "detector.sha256: the SHA-256 of the model's file; another one isn't loaded" .sha256 | quote }}
- name: {{ $prefix }}_DETECTOR_DECLARATION_FILE
  value: /etc/rtcc/detector/{{ required "detector.declaration: the name of the file in detector.volume that declares the model" .declaration }}
{{- end }}
{{- end }}
{{- with .Values.media }}
- name: NODE_ADDRESS
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
- name: RTCC_VIDEO_MEDIA_LISTEN
  value: 0.0.0.0:{{ .port }}
- name: RTCC_VIDEO_PUBLIC_ADDRESSES
  value: {{ .publicAddresses | default (list "$(NODE_ADDRESS)") | join "," | quote }}
# where the other pods of it find this one
- name: RTCC_VIDEO_RELAY_ADDRESS
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: RTCC_VIDEO_CASCADE_LISTEN
  value: 0.0.0.0:7010
# recorded video on its way to the object store, in the pod's own volume: settings.spool_limit_bytes must leave room in temporarySize
- name: RTCC_VIDEO_SPOOL_FOLDER
  value: /tmp/spool
{{- end }}
{{- end }}
