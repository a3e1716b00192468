{{/* What ServiceMonitor and PodMonitor have in common: how to scrape. Takes the values of one of them. */}}
{{- define "ecr-refresher.scrape" -}}
port: http
path: /metrics
# The label `namespace` of a copy's metrics is the copy's, and not that of the Pod.
honorLabels: true
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
