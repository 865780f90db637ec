#!/usr/bin/env python3
"""Starts a run and waits for its outcome with Python's standard library, by the NATS protocol itself: run.py [message]

https://docs.nats.io/reference/reference-protocols/nats-protocol
NATS_URL: nats://host:port, default nats://127.0.0.1:4222
"""

import json
import os
import socket
import sys
import uuid
from urllib.parse import urlsplit

WORKSPACE, WORKFLOW = "MyWorkspace", "MyWorkflow"
OUTCOMES = {"succeeded": 0, "failed": 1, "canceled": 1, "expired": 1}


class Connection:
    """As much of the protocol as a producer needs."""

    def __init__(self, url: str, timeout: float) -> None:
        server = urlsplit(url)
        self._socket = socket.create_connection((server.hostname, server.port or 4222), timeout)
        self._file = self._socket.makefile("rb")
        self._file.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python", "version": "1"}
        if server.username and server.password:
            options |= {"user": server.username, "pass": server.password}
        self._send(f"CONNECT {json.dumps(options)}\r\n".encode())

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def subscribe(self, subject: str, sid: int) -> None:
        self._send(f"SUB {subject} {sid}\r\n".encode())

    def publish(self, subject: str, reply: str, headers: dict[str, str], body: bytes) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n".encode() + head + body + b"\r\n")

    def messages(self):
        """Subscription, header block and body of each message that arrives."""
        while line := self._file.readline():
            verb, *words = line.decode().split()
            if verb == "PING":
                self._send(b"PONG\r\n")
            elif verb == "-ERR":
                raise ConnectionError(line.decode().strip())
            elif verb in ("MSG", "HMSG"):
                size = int(words[-1])
                head = int(words[-2]) if verb == "HMSG" else 0
                data = self._file.read(size + 2)[:-2]
                yield int(words[1]), data[:head], data[head:]
        raise ConnectionError("the server has closed the connection")


def wait(nats: Connection, run_id: str, publish) -> int:
    """Publishes a command and prints the outcome of its run."""
    inbox = f"_INBOX.{run_id}"
    # Subscribed before it publishes, so that no event is missed. The stream's answer comes to the inbox.
    nats.subscribe(f"loopstack.event.{WORKSPACE}.{WORKFLOW}.{run_id}", 1)
    nats.subscribe(inbox, 2)
    publish(inbox)
    for sid, head, body in nats.messages():
        answer = json.loads(body) if body else {"error": head.decode()}
        if sid == 2:
            if "error" in answer:  # Also where nothing listens: the stream is not there.
                print("not stored:", answer["error"], file=sys.stderr)
                return 2
        elif answer["type"] in OUTCOMES:
            print(body.decode())
            return OUTCOMES[answer["type"]]
    return 3


def main(message: str) -> int:
    nats = Connection(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), timeout=30)
    run_id = f"python-{uuid.uuid4()}"
    # Publishing the same id again starts no second run.
    headers = {"Loopstack-Run-Id": run_id, "Nats-Msg-Id": f"{WORKSPACE}.{WORKFLOW}:{run_id}"}
    body = json.dumps({"userId": "python", "payload": {"message": message}}).encode()
    return wait(nats, run_id, lambda inbox: nats.publish(f"loopstack.run.{WORKSPACE}.{WORKFLOW}", inbox, headers, body))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "Hello"))
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
