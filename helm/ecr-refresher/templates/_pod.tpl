{{/* The Pod template of the Deployment and the CronJob. */}}
{{- define "ecr-refresher.podTemplate" -}}
{{- $isDaemon := eq .Values.mode "daemon" -}}
metadata:
  labels:
    {{- include "ecr-refresher.podLabels" . | nindent 4 }}
  {{- $annotations := .Values.podAnnotations }}
  {{- if $isDaemon }}
  {{- $annotations = merge (dict "checksum/restart" (include "ecr-refresher.restartChecksum" .)) $annotations }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "ecr-refresher.serviceAccountName" . }}
  automountServiceAccountToken: true
  # Environment variables override config keys, so the variables of Services must not be set.
  enableServiceLinks: false
  {{- with include "ecr-refresher.imagePullSecrets" . }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- if not $isDaemon }}
  restartPolicy: Never
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
  dnsPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: ecr-refresher
      image: {{ include "ecr-refresher.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        {{- if not $isDaemon }}
        - --once
        - --timeout={{ .Values.cronJob.timeout }}
        {{- end }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        # The holder identity of the Lease: a restarted container is the same replica.
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: ECR_REFRESHER_NAME
          value: {{ include "ecr-refresher.fullname" . | quote }}
        {{- with .Values.aws.region }}
        - name: AWS_REGION
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.caBundle.configMapName }}
        # Both are read: the bundle of the image, and all files of the directory.
        - name: SSL_CERT_FILE
          value: /etc/ssl/certs/ca-certificates.crt
        - name: SSL_CERT_DIR
          value: /etc/ecr-refresher-ca
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $isDaemon }}
      ports:
        - name: http
          containerPort: {{ include "ecr-refresher.port" . }}
      livenessProbe:
        httpGet:
          path: /healthz
          port: http
        {{- with .Values.livenessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
        {{- with .Values.readinessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        # Mount whole directories: the kubelet does not update a file that is mounted with subPath.
        - name: config
          mountPath: {{ include "ecr-refresher.configDirectory" . }}
          readOnly: true
        {{- if include "ecr-refresher.credentialsSecret" . }}
        - name: aws-credentials
          mountPath: {{ include "ecr-refresher.credentialsDirectory" . }}
          readOnly: true
        {{- end }}
        {{- if .Values.caBundle.configMapName }}
        - name: ca-bundle
          mountPath: /etc/ecr-refresher-ca
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    # Secrets are optional, so that the Pod starts without them: the token cache can still have valid tokens. Otherwise the daemon
    # reports which registry has no credentials.
    - name: config
      projected:
        sources:
          - configMap:
              name: {{ include "ecr-refresher.fullname" . }}
          {{- range $name, $file := .Values.registryFiles }}
          - secret:
              name: {{ $file.secretName }}
              optional: true
              items:
                - key: {{ $file.key | default ".dockerconfigjson" }}
                  path: registries/{{ $name }}.json
          {{- end }}
    {{- with include "ecr-refresher.credentialsSecret" . }}
    - name: aws-credentials
      secret:
        secretName: {{ . }}
        optional: true
    {{- end }}
    {{- with .Values.caBundle.configMapName }}
    - name: ca-bundle
      configMap:
        name: {{ . }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $isDaemon }}
  {{- with include "ecr-refresher.topologySpreadConstraints" . }}
  topologySpreadConstraints:
    {{- . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The topology spread constraints. The default is empty for a single replica, and ignores the old Pods during a rollout. */}}
{{- define "ecr-refresher.topologySpreadConstraints" -}}
{{- $constraints := .Values.topologySpreadConstraints }}
{{- if and (not $constraints) (gt (int .Values.replicas) 1) }}
{{- $constraints = list (dict
  "maxSkew" 1
  "topologyKey" "kubernetes.io/hostname"
  "whenUnsatisfiable" "ScheduleAnyway"
  "matchLabelKeys" (list "pod-template-hash")) }}
{{- end }}
{{- $ours := dict "matchLabels" (fromYaml (include "ecr-refresher.selectorLabels" .)) }}
{{- $completed := list }}
{{- range $constraints }}
{{- $completed = append $completed (hasKey . "labelSelector" | ternary . (set (deepCopy .) "labelSelector" $ours)) }}
{{- end }}
{{- with $completed }}
{{- toYaml . }}
{{- end }}
{{- end }}
