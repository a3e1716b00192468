{{/* The config file: that of the values, with the folder of the static keys where a registry at AWS names none. */}}
{{- define "ecr-refresher.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if include "ecr-refresher.credentialsSecret" . }}
{{- range $registry := $config.registries }}
{{- range $source := list $registry.ecr $registry.ecrPublic }}
{{- if and (kindIs "map" $source) (not (hasKey $source "credentialsDirectory")) }}
{{- $_ := set $source "credentialsDirectory" (include "ecr-refresher.credentialsDirectory" $) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The names of the pull Secrets, sorted and each once: the only Secrets that the daemon may touch outside its namespace. */}}
{{- define "ecr-refresher.pullSecretNames" -}}
{{- include "ecr-refresher.validate" . }}
{{- $names := list }}
{{- range .Values.config.secrets }}
{{- $names = append $names .name }}
{{- end }}
{{- $names | sortAlpha | uniq | toYaml }}
{{- end }}

{{/* The names of the pull Secrets that may be taken over from others, sorted and each once; nothing if there are none. */}}
{{- define "ecr-refresher.adoptedSecretNames" -}}
{{- $names := list }}
{{- range (.Values.config).secrets }}
{{- if eq (.onConflict | default "skip") "adopt" }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}
{{- with $names }}
{{- . | sortAlpha | uniq | toYaml }}
{{- end }}
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

{{/*
"true" unless the config turns pruning off. One pass cannot tell since when a copy is not wanted: it deletes only where
there is no grace.
*/}}
{{- define "ecr-refresher.prunes" -}}
{{- $prune := (.Values.config).prune | default dict }}
{{- $hasGrace := regexMatch "[1-9]" (dig "after" "10m" $prune | toString) }}
{{- if and (dig "enabled" true $prune) (or (eq .Values.mode "daemon") (not $hasGrace)) }}true{{ end }}
{{- end }}

{{- define "ecr-refresher.port" -}}
{{- $listen := (.Values.config).listen | default "0.0.0.0:8080" | toString }}
{{- if not (regexMatch `:[0-9]+$` $listen) }}
{{- fail (printf "config.listen: %q is not an address and a port, such as 0.0.0.0:8080" $listen) }}
{{- end }}
{{- regexFind `[0-9]+$` $listen }}
{{- end }}

{{/* Changes with what the daemon reads only at its start; it follows all else. */}}
{{- define "ecr-refresher.restartChecksum" -}}
{{- pick .Values.config "leaderElection" "listen" | toJson | sha256sum }}
{{- end }}
