{{/* What every pod of Tasker has: image, identity, no rights, the secrets, the settings. */}}
{{- define "tasker.labels" -}}
app.kubernetes.io/name: tasker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tasker.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "tasker.container" -}}
name: tasker
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - name: tmp
    mountPath: /tmp
env:
  - name: TASKER_DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ .Values.database.secret | quote }}
        key: {{ .Values.database.key | quote }}
  {{- if .Values.apiKeySecret.secret }}
  - name: TASKER_AUTH_API_KEY_SECRET
    valueFrom:
      secretKeyRef:
        name: {{ .Values.apiKeySecret.secret | quote }}
        key: {{ .Values.apiKeySecret.key | quote }}
  {{- end }}
  - name: TASKER_DRAIN_S
    value: {{ .Values.drainSeconds | quote }}
  - name: TASKER_LOG_FORMAT
    value: json
  {{- range $name, $value := .Values.settings }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}
