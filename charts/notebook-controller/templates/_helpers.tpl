{{- /* What the Deployment, its Service and its NetworkPolicy know the pods by: upstream's labels, never changed. */ -}}
{{- define "notebook-controller.pods" -}}
app: notebook-controller
kustomize.component: notebook-controller
{{- end -}}

{{- define "notebook-controller.labels" -}}
{{ include "notebook-controller.pods" . }}
app.kubernetes.io/name: notebook-controller
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "notebook-controller.image" -}}
{{- with .Values.image -}}
{{ .registry }}/{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "notebook-controller.subjects" -}}
- kind: ServiceAccount
  name: notebook-controller-service-account
  namespace: {{ .Release.Namespace }}
{{- end -}}
