{{- define "ecr-refresher.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every namespaced resource; cut to fit a label, which a Service's name must be. */}}
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
The name of every cluster-scoped resource. The same release name may be used in another namespace, so the namespace is
part of it. It comes last and after a dot, which no namespace contains: with a hyphen, "a" in "b-c" and "a-b" in "c" would
be one name. Never cut: such a name may have 253 characters.
*/}}
{{- define "ecr-refresher.clusterName" -}}
{{- printf "%s.%s" (include "ecr-refresher.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "ecr-refresher.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ecr-refresher.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of every resource. Ours win: a selector counts on them. */}}
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

{{/* The pull Secrets of the daemon's own image, each once, as a Pod lists them; nothing if there are none. */}}
{{- define "ecr-refresher.imagePullSecrets" -}}
{{- $secrets := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $secrets = append $secrets (ternary . (dict "name" .) (kindIs "map" .)) }}
{{- end }}
{{- with $secrets }}
{{- . | uniq | toYaml }}
{{- end }}
{{- end }}

{{/* Where the config file is, and the docker config files beside it. */}}
{{- define "ecr-refresher.configDirectory" -}}
/etc/ecr-refresher
{{- end }}

{{/* The Secret with static keys; nothing if there are none. */}}
{{- define "ecr-refresher.credentialsSecret" -}}
{{- with .Values.aws.credentials }}
{{- if .existingSecret }}
{{- .existingSecret }}
{{- else if .accessKeyId }}
{{- include "ecr-refresher.fullname" $ }}-aws
{{- end }}
{{- end }}
{{- end }}

{{/* Where the static keys are mounted, each as a file. */}}
{{- define "ecr-refresher.credentialsDirectory" -}}
/var/run/secrets/aws
{{- end }}
