{{- /* Names, labels, the image, and what the scope means. */ -}}

{{- define "homeostat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "homeostat.fullname" -}}
{{- $name := include "homeostat.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The Job of the uninstall, whose name becomes a label of its Pod: 63 characters at most. */ -}}
{{- define "homeostat.sweepName" -}}
{{- printf "%s-sweep" (include "homeostat.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{- /* The claim of history: one that is there already, or the chart's own. */ -}}
{{- define "homeostat.claim" -}}
{{- default (printf "%s-history" (include "homeostat.fullname" .)) .Values.history.sqlite.persistence.existingClaim -}}
{{- end -}}

{{- /* What selects the Pods of the operator, and never changes. */ -}}
{{- define "homeostat.selector" -}}
app.kubernetes.io/name: {{ include "homeostat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "homeostat.labels" -}}
{{ include "homeostat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: homeostat
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Labels, and annotations if there are any, for below `metadata:`; to be indented by two. */ -}}
{{- define "homeostat.meta" -}}
labels:
  {{- include "homeostat.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "homeostat.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "homeostat.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "homeostat.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- $name := .Values.image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $registry) $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* "true" for an operator that works in the whole cluster. Where there is none, its policies must suit those of teams. */ -}}
{{- define "homeostat.isClusterWide" -}}
{{- if and (eq .Values.scope "Cluster") .Values.operator.enabled -}}true{{- end -}}
{{- end -}}

{{- /* The namespaces that are watched in scope Namespaced, as a JSON list. */ -}}
{{- define "homeostat.watched" -}}
{{- default (list .Release.Namespace) .Values.watchNamespaces | uniq | toJson -}}
{{- end -}}

{{- /* A role of what is watched, and its binding: for the cluster, or in each namespace. Takes root, name, rules, about,
       account where it is another than the operator's, and except for a namespace that it is not needed in. */ -}}
{{- define "homeostat.role" -}}
{{- $root := .root -}}
{{- $account := default (include "homeostat.serviceAccount" $root) .account -}}
{{- if eq $root.Values.scope "Cluster" }}
---
{{- with .about }}
{{ . | trim }}
{{- end }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  {{- include "homeostat.meta" (dict "root" $root) | nindent 2 }}
rules:
  {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  {{- include "homeostat.meta" (dict "root" $root) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ $root.Release.Namespace }}
{{- else }}
{{- range without (include "homeostat.watched" $root | fromJsonArray) (default "" .except) }}
{{- include "homeostat.roleIn" (dict "root" $root "namespace" . "name" $.name "rules" $.rules "about" $.about "account" $account) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A Role in one namespace, and its binding. Takes what homeostat.role does, and namespace. */ -}}
{{- define "homeostat.roleIn" -}}
{{- $account := default (include "homeostat.serviceAccount" .root) .account }}
---
{{- with .about }}
{{ . | trim }}
{{- end }}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "homeostat.meta" (dict "root" .root) | nindent 2 }}
rules:
  {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "homeostat.meta" (dict "root" .root) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
