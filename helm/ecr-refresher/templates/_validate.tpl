{{/*
Fails if required values are missing or if values contradict each other. The schema checks each value on its own, and the daemon
checks the rest of the config. The name of each pull Secret is required here, because an RBAC rule with empty `resourceNames` would
grant access to every Secret in the cluster.
*/}}
{{- define "ecr-refresher.validate" -}}
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

required values are missing: %s

Minimal values:

config:
  registries:
    - name: main
      ecr: { region: eu-west-1 }
  secrets:
    - name: ecr-pull
      namespaces: ["team-*", payments]
` (join ", " $missing)) }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (eq .Values.mode "daemon") (not (include "ecr-refresher.electsLeader" .)) }}
{{- fail "replicas: more than one Pod needs config.leaderElection; without it every Pod writes" }}
{{- end }}
{{- $name := include "ecr-refresher.fullname" . }}
{{- range $config.secrets }}
{{- if eq .name (printf "%s-tokens" $name) }}
{{- fail (printf "config.secrets: `%s` is the name of the token cache; choose another name for the pull Secret" .name) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.mode "cronJob") (gt (len $name) 52) }}
{{- fail (printf "mode: the name of a CronJob can have 52 characters, and `%s` has %d; set fullnameOverride" $name (len $name)) }}
{{- end }}
{{- with .Values.aws.credentials }}
{{- if and .existingSecret (or .accessKeyId .secretAccessKey) }}
{{- fail "aws.credentials: set either existingSecret, or accessKeyId and secretAccessKey" }}
{{- end }}
{{- if ne (empty .accessKeyId) (empty .secretAccessKey) }}
{{- fail "aws.credentials: set both accessKeyId and secretAccessKey" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor, podMonitor: enable only one of them; with both, every Pod is scraped twice" }}
{{- end }}
{{- end }}
