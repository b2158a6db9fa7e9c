{{/* With "node-fsm" in it, whatever the release is called: the alerts know jobs by that. */}}
{{- define "node-fsm.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 21 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "node-fsm.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "node-fsm.labels" -}}
{{ include "node-fsm.selector" . }}
app.kubernetes.io/part-of: {{ include "node-fsm.fullname" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "node-fsm.image" -}}
{{- $repository := required "image.repository must be said: the image that was built of the Containerfile" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Of a pod: nobody in particular, and no way to become somebody. */}}
{{- define "node-fsm.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "node-fsm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What would go wrong later, said now. */}}
{{- define "node-fsm.check" -}}
{{- $leaders0 := list -}}
{{- $own := list "NODE_FSM_ROLE" "NODE_FSM_HOSTNAME" "NODE_FSM_DATABASE_URL" "NODE_FSM_DATABASE_URL_FILE"
    "NODE_FSM_ARCHIVE_S3_URI" "NODE_FSM_SIGNING_KEY_S3_URI" "NODE_FSM_S3_ENDPOINT_URL"
    "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS" "NODE_FSM_NODE_P2P_ADVERTISE"
    "NODE_FSM_PORT" "NODE_FSM_NODE_REST_LISTEN" "NODE_FSM_NODE_P2P_LISTEN" "NODE_FSM_STORAGE_DIR" -}}
{{- range $name, $node := .Values.nodes -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,19}[a-z0-9])?$" $name) -}}
{{- fail (printf "nodes.%s: a name has 1 to 21 lower case letters, digits and hyphens, and begins with a letter" $name) -}}
{{- end -}}
{{- if not (has $node.role (list "leader0" "leader" "follower")) -}}
{{- fail (printf "nodes.%s.role must be leader0, leader or follower" $name) -}}
{{- end -}}
{{- if not $node.databaseSecret -}}
{{- fail (printf "nodes.%s.databaseSecret must name a secret with the key database-url" $name) -}}
{{- end -}}
{{- if and (ne $node.role "follower") (not $node.signingKeyUri) -}}
{{- fail (printf "nodes.%s.signingKeyUri must be s3://BUCKET/KEY of this leader's signing key" $name) -}}
{{- end -}}
{{- if and (eq $node.role "follower") $node.signingKeyUri -}}
{{- fail (printf "nodes.%s.signingKeyUri: a follower has no signing key" $name) -}}
{{- end -}}
{{- range $setting, $_ := merge (dict) (default (dict) $node.settings) $.Values.settings -}}
{{- if has $setting $own -}}
{{- fail (printf "settings.%s: the chart sets it" $setting) -}}
{{- end -}}
{{- end -}}
{{- if eq $node.role "leader0" -}}
{{- $leaders0 = append $leaders0 $name -}}
{{- end -}}
{{- end -}}
{{- if ne (len $leaders0) 1 -}}
{{- fail (printf "nodes must have exactly one whose role is leader0, and has %d" (len $leaders0)) -}}
{{- end -}}
{{- if not (hasPrefix "s3://" .Values.archiveUri) -}}
{{- fail "archiveUri must be s3://BUCKET/PREFIX, where chains are archived" -}}
{{- end -}}
{{- end -}}
