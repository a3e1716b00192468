{{/* "true" if the chart has the admission policies. */}}
{{- define "ecr-refresher.hasAdmissionPolicy" -}}
{{- $enabled := toString .Values.admissionPolicy.enabled }}
{{- if eq $enabled "auto" }}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}true{{ end }}
{{- else if eq $enabled "true" }}true{{ end }}
{{- end }}

{{/*
Limits the policies to the requests of this ServiceAccount outside the home namespace, so that other requests have no cost. The
home namespace has the token cache, a Secret of another type.
*/}}
{{- define "ecr-refresher.admissionConditions" -}}
- name: is-ecr-refresher
  expression: >-
    request.userInfo.username ==
    'system:serviceaccount:{{ .Release.Namespace }}:{{ include "ecr-refresher.serviceAccountName" . }}'
- name: is-not-at-home
  expression: request.namespace != '{{ .Release.Namespace }}'
{{- end }}

{{/* Converts a YAML list of names to a CEL list. */}}
{{- define "ecr-refresher.celList" -}}
{{- $quoted := list }}
{{- range fromYamlArray . }}
{{- $quoted = append $quoted (squote .) }}
{{- end }}
{{- printf "[%s]" (join ", " $quoted) }}
{{- end }}
