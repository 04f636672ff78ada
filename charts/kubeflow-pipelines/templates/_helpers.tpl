{{/* Names are upstream's, not the release's: clients, policies and other charts know them. */}}

{{/* The labels of a part. Call: (list . "ml-pipeline") */}}
{{- define "kubeflow-pipelines.labels" -}}
{{- $ := first . -}}
{{ include "kubeflow-pipelines.selector" . }}
app.kubernetes.io/name: {{ $.Chart.Name }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* What Deployments know their pods by; it can never change. */}}
{{- define "kubeflow-pipelines.selector" -}}
app: {{ last . }}
application-crd-id: kubeflow-pipelines
{{- end }}

{{/* The metadata of pods. Call: (list . "ml-pipeline" "true"), the last for whether they join a mesh */}}
{{- define "kubeflow-pipelines.pod" -}}
{{- $ := first . -}}
labels:
  {{- include "kubeflow-pipelines.labels" (list $ (index . 1)) | nindent 2 }}
  {{- if $.Values.istio.enabled }}
  sidecar.istio.io/inject: {{ last . | quote }}
  {{- end }}
{{- end }}

{{/* What every pod says of itself. Call: (list . "account" user group); the group 0 is what upstream's images are made for */}}
{{- define "kubeflow-pipelines.pod.spec" -}}
{{- $ := first . -}}
serviceAccountName: {{ index . 1 }}
enableServiceLinks: false
{{- with $.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 2 }}
  runAsGroup: {{ last . }}
  {{- if last . }}
  fsGroup: {{ last . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* The beginning of every container. Call: (list . "apiServer") */}}
{{- define "kubeflow-pipelines.container" -}}
{{- $ := first . -}}
image: {{ include "kubeflow-pipelines.image" . }}
imagePullPolicy: {{ $.Values.images.pullPolicy }}
resources:
  {{- toYaml (index $.Values.resources (last .)) | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* An image, by digest where there is one. Call: (list . "apiServer") */}}
{{- define "kubeflow-pipelines.image" -}}
{{- $ := first . -}}
{{- $image := index $.Values.images (last .) -}}
{{- $registry := default $image.registry $.Values.images.registry -}}
{{- if $image.digest -}}
{{ $registry }}/{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $registry }}/{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
{{- end }}

{{/* The object store's URL in pieces, as JSON: host, port, secure. */}}
{{- define "kubeflow-pipelines.store" -}}
{{- $url := urlParse .Values.objectStore.endpoint -}}
{{- $secure := eq $url.scheme "https" -}}
{{- $port := regexFind "[0-9]+$" (trimPrefix $url.hostname $url.host) -}}
{{- dict "host" $url.hostname "port" (default (ternary "443" "80" $secure) $port) "secure" (toString $secure) | toJson -}}
{{- end }}

{{/* The database's address and the Secret that opens it, as JSON: host, port, secret, user, password. */}}
{{- define "kubeflow-pipelines.database" -}}
{{- $external := .Values.database.external -}}
{{- if $external.host -}}
{{- $secret := $external.secret -}}
{{- dict "host" $external.host "port" ($external.port | int64 | toString) "secret" $secret.name "user" $secret.user "password" $secret.password | toJson -}}
{{- else -}}
{{- dict "host" "mysql" "port" "3306" "secret" "mysql-secret" "user" "username" "password" "password" | toJson -}}
{{- end -}}
{{- end }}

{{/* A variable from a Secret; without it no pod starts. Call: (list "NAME" "secret" "key") */}}
{{- define "kubeflow-pipelines.env.secret" -}}
- name: {{ first . }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ last . }}
{{- end }}

{{/* The volume with a token that only the API server of Pipelines takes. Call: the file's name */}}
{{- define "kubeflow-pipelines.token.volume" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken:
          path: {{ . }}
          expirationSeconds: 3600
          audience: pipelines.kubeflow.org
{{- end }}
