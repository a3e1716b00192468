{{- define "ecr-refresher.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every namespaced resource, truncated to 63 characters: the name of a Service must be a valid DNS label. */}}
{{- define "ecr-refresher.fullname" -}}
{{- $name := include "ecr-refresher.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/*
The name of every cluster-scoped resource. Another namespace can have a release with the same name, so the name contains the
namespace. The separator is a dot, because a namespace contains no dots: with a hyphen, "a" in "b-c" and "a-b" in "c" would have
the same name. The name is not truncated, because it can have 253 characters.
*/}}
{{- define "ecr-refresher.clusterName" -}}
{{- printf "%s.%s" (include "ecr-refresher.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "ecr-refresher.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ecr-refresher.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of every resource. The labels of the chart override `commonLabels`, because selectors depend on them. */}}
{{- define "ecr-refresher.labels" -}}
{{- $labels := fromYaml (include "ecr-refresher.selectorLabels" .) }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service }}
{{- merge $labels .Values.commonLabels | toYaml }}
{{- end }}

{{- define "ecr-refresher.podLabels" -}}
{{- merge (fromYaml (include "ecr-refresher.labels" .)) .Values.podLabels | toYaml }}
{{- end }}

{{- define "ecr-refresher.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "ecr-refresher.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "ecr-refresher.image" -}}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ . }}/{{ end }}
{{- with .Values.image }}
{{- .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* `imagePullSecrets` of the Pod, without duplicates. Empty if there are none. */}}
{{- define "ecr-refresher.imagePullSecrets" -}}
{{- $secrets := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $secrets = append $secrets (ternary . (dict "name" .) (kindIs "map" .)) }}
{{- end }}
{{- with $secrets }}
{{- . | uniq | toYaml }}
{{- end }}
{{- end }}

{{/* The directory of the config file and of the docker config files. */}}
{{- define "ecr-refresher.configDirectory" -}}
/etc/ecr-refresher
{{- end }}

{{/* The name of the Secret with the static keys. Empty if there are none. */}}
{{- define "ecr-refresher.credentialsSecret" -}}
{{- with .Values.aws.credentials }}
{{- if .existingSecret }}
{{- .existingSecret }}
{{- else if .accessKeyId }}
{{- include "ecr-refresher.fullname" $ }}-aws
{{- end }}
{{- end }}
{{- end }}

{{/* The mount path of the static keys, one file per key. */}}
{{- define "ecr-refresher.credentialsDirectory" -}}
/var/run/secrets/aws
{{- end }}

{{/* The identity of the release: it is in the annotation `kept-by` of its copies. */}}
{{- define "ecr-refresher.releaseId" -}}
{{- printf "%s/%s" .Release.Namespace (include "ecr-refresher.fullname" .) }}
{{- end }}

{{/* The field manager of its writes, as the daemon computes it. */}}
{{- define "ecr-refresher.fieldManager" -}}
{{- printf "ecr-refresher-%s" (include "ecr-refresher.releaseId" . | sha256sum | trunc 8) }}
{{- end }}

{{/* The value of the label `release` of its copies, as the daemon computes it. */}}
{{- define "ecr-refresher.releaseLabel" -}}
{{- $label := include "ecr-refresher.releaseId" . | replace "/" "." }}
{{- if gt (len $label) 63 }}
{{- $label = include "ecr-refresher.releaseId" . | sha256sum | trunc 8 }}
{{- end }}
{{- $label }}
{{- end }}
