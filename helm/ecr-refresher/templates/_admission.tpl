{{/* Limits the policies to the requests of this ServiceAccount, so that other requests have no cost. */}}
{{- define "ecr-refresher.admissionConditions" -}}
- name: is-ecr-refresher
  expression: >-
    request.userInfo.username ==
    'system:serviceaccount:{{ .Release.Namespace }}:{{ include "ecr-refresher.serviceAccountName" . }}'
{{- end }}

{{/* Converts a YAML list of texts to a CEL list. */}}
{{- define "ecr-refresher.celList" -}}
{{- $quoted := list }}
{{- range fromYamlArray . }}
{{- $quoted = append $quoted (include "ecr-refresher.celText" .) }}
{{- end }}
{{- printf "[%s]" (join ", " $quoted) }}
{{- end }}

{{/* A text as a CEL literal. */}}
{{- define "ecr-refresher.celText" -}}
{{- printf "'%s'" (. | toString | replace "\\" "\\\\" | replace "'" "\\'" | replace "\n" "\\n") }}
{{- end }}

{{/*
The labels or annotations of the config as a CEL map: the name of each pull Secret, and its keys with their values. The arguments are
the root context and `labels` or `annotations`.
*/}}
{{- define "ecr-refresher.celMarks" -}}
{{- $kind := index . 1 }}
{{- $secrets := list }}
{{- range $secret := (index . 0).Values.config.secrets }}
{{- $marks := list }}
{{- range $key, $value := index $secret $kind | default dict }}
{{- $marks = append $marks (printf "%s: %s" (include "ecr-refresher.celText" $key) (include "ecr-refresher.celText" $value)) }}
{{- end }}
{{- if $marks }}
{{- $secrets = append $secrets (printf "%s: {%s}" (include "ecr-refresher.celText" $secret.name) (join ", " $marks)) }}
{{- end }}
{{- end }}
{{- printf "{%s}" (join ", " $secrets) }}
{{- end }}

{{/* The releases that may be taken over, as a CEL map: the name of each pull Secret, and the releases. */}}
{{- define "ecr-refresher.celTakeOver" -}}
{{- $secrets := list }}
{{- range $secret := .Values.config.secrets }}
{{- with $secret.takeOver }}
{{- $secrets = append $secrets (printf "%s: %s" (include "ecr-refresher.celText" $secret.name) (include "ecr-refresher.celList" (toYaml .))) }}
{{- end }}
{{- end }}
{{- printf "{%s}" (join ", " $secrets) }}
{{- end }}
