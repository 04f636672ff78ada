{{/* Names are Kubeflow's, not the release's: policies of teams know them. */}}

{{- define "notebook-controller.labels" -}}
{{ include "notebook-controller.selector" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: notebook-controller
{{- end }}

{{/* What the Deployment, its Service and its NetworkPolicy know the pods by: Kubeflow's labels; it can never change. */}}
{{- define "notebook-controller.selector" -}}
app: notebook-controller
kustomize.component: notebook-controller
{{- end }}

{{/* The image, by digest where there is one. */}}
{{- define "notebook-controller.image" -}}
{{- $image := .Values.images.controller -}}
{{- $registry := default $image.registry .Values.images.registry -}}
{{- if $image.digest -}}
{{ $registry }}/{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $registry }}/{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
{{- end }}

{{- define "notebook-controller.subjects" -}}
- kind: ServiceAccount
  name: notebook-controller-service-account
  namespace: {{ .Release.Namespace }}
{{- end }}
