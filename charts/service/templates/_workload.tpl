{{- define "service.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service.meta" . | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- if .Values.single }}
    # two of it at once would do each other's work
    type: Recreate
    {{- else if .Values.media }}
    # the new one takes the port of an old one on its node
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 1
      maxSurge: 0
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
    {{- end }}
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service.labels" . | nindent 8 }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "9090"
        prometheus.io/path: /metrics
    spec:
      serviceAccountName: {{ include "service.name" . }}
      automountServiceAccountToken: {{ .Values.kubernetesAccess }}
      enableServiceLinks: false
      {{- with .Values.global.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      # 5 s until every caller knows, 5 s for running calls, 10 s for each step of the drain
      terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
      {{- if and .Values.media (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) }}
      # one a node: each announces its node's address, and traffic to the port of a node stays on it
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  {{- include "service.selector" . | nindent 18 }}
      {{- end }}
      {{- if not .Values.single }}
      topologySpreadConstraints:
        {{- range tuple "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "service.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ include "service.image" . }}
          imagePullPolicy: {{ .Values.global.image.pullPolicy }}
          env:
            {{- include "service.environment" . | nindent 12 }}
          ports:
            {{- if .Values.serves }}
            - name: grpc
              containerPort: 7000
            {{- end }}
            - name: health
              containerPort: 7001
            - name: metrics
              containerPort: 9090
            {{- if .Values.door }}
            - name: https
              containerPort: 8443
            {{- end }}
            {{- with .Values.devices }}
            - name: devices
              containerPort: {{ .port }}
              protocol: {{ .protocol }}
            {{- end }}
            {{- with .Values.media }}
            - name: cascade
              containerPort: 7010
            {{- $media := . }}
            {{- range tuple "UDP" "TCP" }}
            - name: media-{{ lower . }}
              containerPort: {{ $media.port }}
              protocol: {{ . }}
              {{- if $media.hostPort }}
              hostPort: {{ $media.port }}
              {{- end }}
            {{- end }}
            {{- end }}
          # a start waits up to 60 s each for NATS and PostgreSQL, then applies migrations and reads its mirrors
          startupProbe:
            grpc:
              port: 7001
            periodSeconds: 2
            failureThreshold: {{ div (int .Values.startupSeconds) 2 }}
          readinessProbe:
            grpc:
              port: 7001
            periodSeconds: 5
            failureThreshold: 2
          livenessProbe:
            grpc:
              port: 7001
              service: live
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            preStop:
              sleep:
                seconds: 5
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            capabilities:
              drop:
                - ALL
          volumeMounts:
            - name: temporary
              mountPath: /tmp
            - name: secret
              mountPath: /etc/rtcc/secret
              readOnly: true
            - name: trust
              mountPath: /etc/rtcc/trust
              readOnly: true
            - name: tls
              mountPath: /etc/rtcc/tls
              readOnly: true
            {{- if .Values.stores.objects }}
            - name: objects
              mountPath: /etc/rtcc/objects
              readOnly: true
            {{- end }}
            {{- if ne .Values.global.authorities "none" }}
            - name: authorities
              mountPath: /etc/rtcc/authorities
              readOnly: true
            {{- end }}
            {{- if .Values.door }}
            - name: door
              mountPath: /etc/rtcc/door
              readOnly: true
            {{- end }}
            {{- if include "service.detects" . }}
            - name: detector
              mountPath: /etc/rtcc/detector
              readOnly: true
            {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumes:
        - name: temporary
          emptyDir:
            sizeLimit: {{ .Values.temporarySize }}
        - name: secret
          secret:
            secretName: {{ include "service.secret" . }}
            defaultMode: 0440
        - name: trust
          configMap:
            name: {{ .Values.global.trust | default (printf "%s-trust" .Values.global.installation) }}
        - name: tls
          secret:
            secretName: {{ .Values.global.internalTls | default (printf "%s-internal-tls" .Values.global.installation) }}
            defaultMode: 0440
        {{- if .Values.stores.objects }}
        - name: objects
          secret:
            secretName: {{ .Values.global.objects.secret | default (printf "%s-objects" .Values.global.installation) }}
            defaultMode: 0440
        {{- end }}
        {{- if ne .Values.global.authorities "none" }}
        - name: authorities
          configMap:
            name: {{ .Values.global.authorities | default (printf "%s-authorities" .Values.global.installation) }}
        {{- end }}
        {{- with .Values.door }}
        - name: door
          secret:
            secretName: {{ .certificate | default (printf "%s-door" (include "service.name" $)) }}
            defaultMode: 0440
        {{- end }}
        {{- if include "service.detects" . }}
        - name: detector
          {{- include "service.detectorVolume" .Values.detector.volume | nindent 10 }}
        {{- end }}
{{- end }}

{{/* "true" where a model is to look at recordings. */}}
{{- define "service.detects" -}}
{{- with .Values.detector -}}
{{- if or .model .volume -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{/* What holds the model's files, whatever it is: it is read only. */}}
{{- define "service.detectorVolume" -}}
{{- if ne (len .) 1 -}}
{{- fail "detector.volume: name one of persistentVolumeClaim, configMap, secret and image, which holds the files detector.model and detector.declaration" -}}
{{- end -}}
{{- with .persistentVolumeClaim -}}
persistentVolumeClaim:
  claimName: {{ .claimName }}
  readOnly: true
{{- end -}}
{{- with .configMap -}}
configMap:
  name: {{ .name }}
{{- end -}}
{{- with .secret -}}
secret:
  secretName: {{ .secretName }}
  defaultMode: 0440
{{- end -}}
{{- with .image -}}
image:
  reference: {{ .reference }}
  pullPolicy: {{ .pullPolicy | default "IfNotPresent" }}
{{- end -}}
{{- end }}

{{- define "service.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service.meta" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{- define "service.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service.meta" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
{{- end }}

{{- define "service.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service.meta" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "service.name" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Pods
      pods:
        metric:
          name: {{ .Values.autoscaling.metric }}
        target:
          type: AverageValue
          averageValue: {{ .Values.autoscaling.target | quote }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end }}
