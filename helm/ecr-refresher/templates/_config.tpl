{{/*
The config file: `config` of the values. An `ecr` or `ecrPublic` registry without a `credentialsDirectory` gets the directory of the
static keys.
*/}}
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

{{/*
The names of the pull Secrets, sorted and unique. Outside the home namespace, the daemon has permissions for these Secrets only.
*/}}
{{- define "ecr-refresher.pullSecretNames" -}}
{{- include "ecr-refresher.validate" . }}
{{- $names := list }}
{{- range .Values.config.secrets }}
{{- $names = append $names .name }}
{{- end }}
{{- $names | sortAlpha | uniq | toYaml }}
{{- end }}

{{/* The names of the pull Secrets with `onConflict: adopt`, sorted and unique. Empty if there are none. */}}
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

{{/* The names of the ServiceAccounts that get a pull Secret, sorted and unique. Empty if there are none. */}}
{{- define "ecr-refresher.patchedServiceAccountNames" -}}
{{- $names := list }}
{{- range (.Values.config).secrets }}
{{- $names = concat $names (.serviceAccounts | default list) }}
{{- end }}
{{- with $names }}
{{- . | sortAlpha | uniq | toYaml }}
{{- end }}
{{- end }}

{{/* "true" unless the config disables leader election. */}}
{{- define "ecr-refresher.electsLeader" -}}
{{- if dig "enabled" true ((.Values.config).leaderElection | default dict) }}true{{ end }}
{{- end }}

{{/*
"true" unless the config disables pruning. A CronJob does not know since when a copy is no longer wanted, so it prunes only without
a grace period.
*/}}
{{- define "ecr-refresher.prunes" -}}
{{- $prune := (.Values.config).prune | default dict }}
{{- $hasGrace := regexMatch "[1-9]" (dig "after" "10m" $prune | toString) }}
{{- if and (dig "enabled" true $prune) (or (eq .Values.mode "daemon") (not $hasGrace)) }}true{{ end }}
{{- end }}

{{- define "ecr-refresher.port" -}}
{{- $listen := (.Values.config).listen | default "[::]:8080" | toString }}
{{- if not (regexMatch `:[0-9]+$` $listen) }}
{{- fail (printf "config.listen: invalid value %q; set an address and a port, such as [::]:8080" $listen) }}
{{- end }}
{{- regexFind `[0-9]+$` $listen }}
{{- end }}

{{/* Checksum of the keys that the daemon reads only at startup. It reloads all other keys at runtime. */}}
{{- define "ecr-refresher.restartChecksum" -}}
{{- pick .Values.config "leaderElection" "listen" | toJson | sha256sum }}
{{- end }}
