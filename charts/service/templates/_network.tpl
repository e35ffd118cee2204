{{/* Headless: gRPC callers see every pod and spread their calls themselves. */}}
{{- define "service.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.meta" . | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    - name: grpc
      port: 7000
      targetPort: grpc
      appProtocol: grpc
{{- end }}

{{- define "service.doorService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "service.name" . }}-door
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "service.labels" . | nindent 4 }}
  {{- with .Values.door.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.door.type }}
  # some steps of a sign-in are remembered by the pod that began them
  sessionAffinity: ClientIP
  {{- if ne .Values.door.type "ClusterIP" }}
  externalTrafficPolicy: Local
  {{- end }}
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    - name: https
      port: 443
      targetPort: https
      appProtocol: https
{{- end }}

{{/* Where devices connect that speak neither HTTP nor NATS. */}}
{{- define "service.devicesService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "service.name" . }}-devices
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "service.labels" . | nindent 4 }}
  {{- with .Values.devices.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.devices.type }}
  {{- if ne .Values.devices.type "ClusterIP" }}
  externalTrafficPolicy: Local
  {{- end }}
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    - name: devices
      port: {{ .Values.devices.port }}
      targetPort: devices
      protocol: {{ .Values.devices.protocol }}
{{- end }}

{{- define "service.mediaService" -}}
{{- if and (eq .Values.media.type "LoadBalancer") (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) }}
{{- fail "media.type LoadBalancer: one address can't lead to the pod that answered; several pods need NodePort or hostPort" }}
{{- end }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "service.name" . }}-media
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "service.labels" . | nindent 4 }}
  {{- with .Values.media.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.media.type }}
  externalTrafficPolicy: Local
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    {{- range tuple "UDP" "TCP" }}
    - name: media-{{ lower . }}
      port: {{ $.Values.media.port }}
      targetPort: media-{{ lower . }}
      protocol: {{ . }}
      {{- if eq $.Values.media.type "NodePort" }}
      nodePort: {{ $.Values.media.port }}
      {{- end }}
    {{- end }}
{{- end }}

{{- define "service.ports" -}}
{{- range . }}
- port: {{ . }}
{{- end }}
{{- end }}

{{- define "service.policy" -}}
{{- $global := .Values.global -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  policyTypes:
    - Ingress
    - Egress
  ingress:
    {{- range .Values.calledBy }}
    # {{ . }} calls us
    - from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
              app.kubernetes.io/instance: {{ $global.installation }}
      ports:
        - port: 7000
    {{- end }}
    # kubelets may come from any address, and the port answers nothing but health
    - ports:
        - port: 7001
    - from:
        {{- toYaml $global.peers.monitoring | nindent 8 }}
      ports:
        - port: 9090
    {{- if .Values.door }}
    - from:
        {{- toYaml .Values.door.peers | nindent 8 }}
      ports:
        - port: 8443
    {{- end }}
    {{- with .Values.devices }}
    - from:
        {{- toYaml .peers | nindent 8 }}
      ports:
        - port: {{ .port }}
          protocol: {{ .protocol }}
    {{- end }}
    {{- if .Values.media }}
    # its other pods ask for pictures, and take them
    - from:
        - podSelector:
            matchLabels:
              {{- include "service.selector" . | nindent 14 }}
      ports:
        - port: 7000
        - port: 7010
    {{- end }}
    {{- with .Values.media }}
    - from:
        {{- toYaml .peers | nindent 8 }}
      ports:
        - port: {{ .port }}
          protocol: UDP
        - port: {{ .port }}
          protocol: TCP
    {{- end }}
  egress:
    - to:
        {{- toYaml $global.peers.dns | nindent 8 }}
      ports:
        - port: 53
          protocol: UDP
        - port: 53
          protocol: TCP
    - to:
        {{- toYaml $global.peers.nats | nindent 8 }}
      ports:
        - port: {{ $global.nats.port }}
    {{- if .Values.stores.postgresql }}
    - to:
        {{- toYaml $global.peers.postgresql | nindent 8 }}
      ports:
        - port: {{ $global.postgresql.port }}
    {{- end }}
    {{- if .Values.stores.objects }}
    - to:
        {{- toYaml $global.peers.objects | nindent 8 }}
      ports:
        - port: {{ $global.objects.port }}
    {{- end }}
    {{- if $global.telemetry.endpoint }}
    - to:
        {{- toYaml $global.peers.telemetry | nindent 8 }}
      ports:
        - port: {{ $global.telemetry.port }}
    {{- end }}
    {{- range .Values.calls }}
    # we call {{ . }}
    - to:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
              app.kubernetes.io/instance: {{ $global.installation }}
      ports:
        - port: 7000
    {{- end }}
    {{- if .Values.kubernetesAccess }}
    - to:
        {{- toYaml $global.peers.kubernetes | nindent 8 }}
      ports:
        - port: 443
        - port: 6443
    {{- end }}
    {{- if .Values.media }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "service.selector" . | nindent 14 }}
      ports:
        - port: 7000
        - port: 7010
    {{- end }}
    {{- with .Values.media }}
    # viewers answer where they came from; cameras stand outside the cluster
    - to:
        {{- toYaml .peers | nindent 8 }}
      ports:
        - protocol: UDP
          port: 1024
          endPort: 65535
    - to:
        {{- toYaml .cameras | nindent 8 }}
    {{- end }}
    {{- with .Values.outside }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
