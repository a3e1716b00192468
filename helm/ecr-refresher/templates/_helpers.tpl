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

{{- define "ecr-refresher.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ecr-refresher.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ecr-refresher.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "ecr-refresher.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "ecr-refresher.image" -}}
{{- with .Values.image }}
{{- .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/*
Refuses a config without which the chart cannot be rendered. The daemon checks the rest, and says more about it. A Secret's
name is needed here because a rule with an empty `resourceNames` would grant every Secret of the cluster.
*/}}
{{- define "ecr-refresher.validateConfig" -}}
{{- $config := .Values.config | default dict }}
{{- $missing := list }}
{{- if not $config.registries }}
{{- $missing = append $missing "config.registries" }}
{{- end }}
{{- if not $config.secrets }}
{{- $missing = append $missing "config.secrets" }}
{{- end }}
{{- range $i, $secret := $config.secrets }}
{{- if not $secret.name }}
{{- $missing = append $missing (printf "config.secrets[%d].name" $i) }}
{{- end }}
{{- end }}
{{- if $missing }}
{{- fail (printf `

missing in the values: %s

The least that works:

config:
  registries:
    - name: main
      ecr: { region: eu-west-1 }
  secrets:
    - name: ecr-pull
      namespaces: ["team-*", payments]
` (join ", " $missing)) }}
{{- end }}
{{- end }}

{{/* The names of the pull Secrets, sorted and each once: the only Secrets that the daemon may touch outside its namespace. */}}
{{- define "ecr-refresher.pullSecretNames" -}}
{{- include "ecr-refresher.validateConfig" . }}
{{- $names := list }}
{{- range .Values.config.secrets }}
{{- $names = append $names .name }}
{{- end }}
{{- $names | sortAlpha | uniq | toYaml }}
{{- end }}

{{/* The names of the ServiceAccounts that get a pull Secret, sorted and each once; nothing if there are none. */}}
{{- define "ecr-refresher.patchedServiceAccountNames" -}}
{{- $names := list }}
{{- range (.Values.config).secrets }}
{{- $names = concat $names (.serviceAccounts | default list) }}
{{- end }}
{{- with $names }}
{{- . | sortAlpha | uniq | toYaml }}
{{- end }}
{{- end }}

{{/* "true" unless the config turns leader election off. */}}
{{- define "ecr-refresher.electsLeader" -}}
{{- if dig "enabled" true ((.Values.config).leaderElection | default dict) }}true{{ end }}
{{- end }}

{{/* "true" unless the config turns pruning off. */}}
{{- define "ecr-refresher.prunes" -}}
{{- if dig "enabled" true ((.Values.config).prune | default dict) }}true{{ end }}
{{- end }}

{{- define "ecr-refresher.port" -}}
{{- $listen := (.Values.config).listen | default "0.0.0.0:8080" | toString }}
{{- if not (regexMatch `:[0-9]+$` $listen) }}
{{- fail (printf "config.listen: %q is not an address and a port, such as 0.0.0.0:8080" $listen) }}
{{- end }}
{{- regexFind `[0-9]+$` $listen }}
{{- end }}
