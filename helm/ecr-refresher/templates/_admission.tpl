{{/* "true" if the policies of admission are to be there. */}}
{{- define "ecr-refresher.hasAdmissionPolicy" -}}
{{- $enabled := toString .Values.admissionPolicy.enabled }}
{{- if eq $enabled "auto" }}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}true{{ end }}
{{- else if eq $enabled "true" }}true{{ end }}
{{- end }}

{{/* Who is judged and where, so that nobody else pays for it. At home there is the token cache, of another type. */}}
{{- define "ecr-refresher.admissionConditions" -}}
- name: is-ecr-refresher
  expression: >-
    request.userInfo.username ==
    'system:serviceaccount:{{ .Release.Namespace }}:{{ include "ecr-refresher.serviceAccountName" . }}'
- name: is-not-at-home
  expression: request.namespace != '{{ .Release.Namespace }}'
{{- end }}

{{/* A list of names, given as YAML, as one of CEL. */}}
{{- define "ecr-refresher.celList" -}}
{{- $quoted := list }}
{{- range fromYamlArray . }}
{{- $quoted = append $quoted (squote .) }}
{{- end }}
{{- printf "[%s]" (join ", " $quoted) }}
{{- end }}
