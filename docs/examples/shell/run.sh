#!/bin/sh
# Starts a run with the `nats` command and waits for its outcome: ./run.sh [message]
# The server is the one of the command's context, or NATS_URL.
set -eu

workspace=MyWorkspace
workflow=MyWorkflow
message=${1-Hello}
# As JSON wants it.
escaped=$(printf '%s' "$message" | awk '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s%s", sep, $0; sep = "\\n" }')
# Any id of 1 to 64 letters, digits, `-` and `_`. Publishing it twice starts one run.
id="shell-$(date +%s)-$$"

# The stream answers a request with {"stream":…,"seq":…} when it has stored the command, and with {"error":…} when not.
nats request --raw --timeout 5s \
  --header "Loopstack-Run-Id:$id" \
  --header "Nats-Msg-Id:$workspace.$workflow:$id" \
  "loopstack.run.$workspace.$workflow" \
  "{\"userId\":\"shell\",\"payload\":{\"message\":\"$escaped\"}}"

# The last event of a run is its state, and is kept: nothing is missed between the request and the first look.
tries=60
while [ "$tries" -gt 0 ]; do
  event=$(nats request --raw --timeout 5s '$JS.API.DIRECT.GET.LOOPSTACK_EVENTS' \
    "{\"last_by_subj\":\"loopstack.event.$workspace.$workflow.$id\"}")
  case $event in
    '{"type":"succeeded"'*) echo "$event"; exit 0 ;;
    '{"type":"failed"'* | '{"type":"canceled"'* | '{"type":"expired"'*) echo "$event"; exit 1 ;;
  esac
  tries=$((tries - 1))
  sleep 0.5
done
echo "no outcome of $id yet" >&2
exit 3
