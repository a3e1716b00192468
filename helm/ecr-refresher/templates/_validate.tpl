{{/*
Refuses values without which the chart cannot be rendered, or that contradict each other. The schema checks each by itself,
and the daemon checks the rest of the config. A Secret's name is needed here because a rule with an empty `resourceNames`
would grant every Secret of the cluster.
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
{{- if and (gt (int .Values.replicas) 1) (eq .Values.mode "daemon") (not (include "ecr-refresher.electsLeader" .)) }}
{{- fail "replicas: more than one Pod needs config.leaderElection, or all of them would write" }}
{{- end }}
{{- with .Values.aws.credentials }}
{{- if and .existingSecret (or .accessKeyId .secretAccessKey) }}
{{- fail "aws.credentials: give either existingSecret, or accessKeyId and secretAccessKey" }}
{{- end }}
{{- if ne (empty .accessKeyId) (empty .secretAccessKey) }}
{{- fail "aws.credentials: accessKeyId and secretAccessKey need each other" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor, podMonitor: enable one of them, or every Pod is scraped twice" }}
{{- end }}
{{- end }}
