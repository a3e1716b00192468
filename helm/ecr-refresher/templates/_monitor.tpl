{{/* The endpoint fields that ServiceMonitor and PodMonitor share. The argument is `.Values.serviceMonitor` or `.Values.podMonitor`. */}}
{{- define "ecr-refresher.scrape" -}}
port: http
path: /metrics
# Metrics of copies have their own label `namespace`: the namespace of the copy, not of the Pod.
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
