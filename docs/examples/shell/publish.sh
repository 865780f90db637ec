#!/usr/bin/env bash
# Starts a run and waits for its outcome with nothing but bash (4.3 or later), by the NATS protocol itself: ./publish.sh [message]
# https://docs.nats.io/reference/reference-protocols/nats-protocol
# NATS_URL: nats://[user:password@]host:port, default nats://127.0.0.1:4222
set -euo pipefail
LC_ALL=C # Lengths are in bytes.

workspace=MyWorkspace
workflow=MyWorkflow
message=${1-Hello}
# Any id of 1 to 64 letters, digits, `-` and `_`. Publishing it twice starts one run.
printf -v now "%(%s)T" -1
id=bash-$now-$$-$RANDOM

address=${NATS_URL:-nats://127.0.0.1:4222}
address=${address#*://}
login=
if [[ $address == *@* ]]; then
  user=${address%@*}
  login=',"user":"'${user%%:*}'","pass":"'${user#*:}'"'
  address=${address##*@}
fi
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"

message=${message//\\/\\\\}
message=${message//\"/\\\"}
message=${message//$'\n'/\\n}
body='{"userId":"bash","payload":{"message":"'$message'"}}'
headers=$'NATS/1.0\r\nLoopstack-Run-Id: '$id$'\r\nNats-Msg-Id: '$workspace.$workflow:$id$'\r\n\r\n'

# Subscribed before it publishes, so that no event is missed. The stream's answer comes to the reply subject.
{
  printf 'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"bash","version":"1"%s}\r\n' "$login"
  printf 'SUB loopstack.event.%s.%s.%s 1\r\n' "$workspace" "$workflow" "$id"
  printf 'SUB _INBOX.%s 2\r\n' "$id"
  printf 'HPUB loopstack.run.%s.%s _INBOX.%s %d %d\r\n' "$workspace" "$workflow" "$id" ${#headers} $((${#headers} + ${#body}))
  printf '%s%s\r\n' "$headers" "$body"
} >&3

while IFS= read -r -t 30 line <&3; do
  # shellcheck disable=SC2206 # No argument of the protocol has a space.
  words=(${line%$'\r'})
  case ${words[0]:-} in
    PING) printf 'PONG\r\n' >&3 ;;
    -ERR)
      echo "$line" >&2
      exit 2
      ;;
    MSG | HMSG)
      size=${words[-1]}
      head=0
      [[ ${words[0]} == HMSG ]] && head=${words[-2]}
      IFS= read -r -N "$size" message <&3
      IFS= read -r _ <&3
      text=${message:head}
      if [[ ${words[2]} == 2 ]]; then
        # An empty answer is the server's: nothing listens, the stream is not there.
        if [[ $text != '{'* || $text == *'"error"'* ]]; then
          echo "not stored: ${message//$'\r\n'/ }" >&2
          exit 2
        fi
      elif [[ $text =~ ^\{\"type\":\"(succeeded|failed|canceled|expired)\" ]]; then
        echo "$text"
        [[ ${BASH_REMATCH[1]} == succeeded ]] && exit 0
        exit 1
      fi
      ;;
  esac
done
echo "no outcome of $id yet" >&2
exit 3
