#!/usr/bin/env python3
"""Starts a run of a workspace that demands signatures, and waits for its outcome: signed.py [message]

Needs the package `cryptography`. What is signed: docs/security.md, "Signed commands".
LOOPSTACK_SIGN: path of a file with the seed of a user NKey (SU...). NATS_URL: as in run.py
"""

import base64
import hashlib
import json
import os
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from run import WORKFLOW, WORKSPACE, Connection, wait

UNSIGNED = {
    "Loopstack-Signature", "traceparent", "tracestate", "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit",
    "Nats-Scheduler", "Nats-Schedule-Next", "Nats-TTL", "Nats-Stream-Source",
}  # fmt: skip
USER = 20 << 3


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, as NKeys have it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class Signer:
    def __init__(self, seed: str) -> None:
        # Two bytes of prefix, the key, two bytes of checksum.
        self._key = Ed25519PrivateKey.from_private_bytes(base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34])
        public = bytes([USER]) + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.nkey = base64.b32encode(public + crc16(public).to_bytes(2, "little")).decode().rstrip("=")

    def sign(self, subject: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """All headers of the command, with those that prove where it comes from. None may be added afterwards."""
        until = datetime.now(timezone.utc) + timedelta(seconds=60)
        signed = headers | {
            "Loopstack-Signer": self.nkey,
            "Loopstack-Signed-Until": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        lines = sorted(f"{name}:{value}".encode() for name, value in signed.items() if name not in UNSIGNED)
        head = [b"loopstack-command-2", subject.encode(), hashlib.sha256(body).hexdigest().encode()]
        signature = base64.urlsafe_b64encode(self._key.sign(b"\n".join(head + lines))).decode().rstrip("=")
        return signed | {"Loopstack-Signature": f"2.{signature}"}


def main(message: str) -> int:
    signer = Signer(Path(os.environ["LOOPSTACK_SIGN"]).read_text().strip())
    nats = Connection(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), timeout=30)
    run_id = f"python-{uuid.uuid4()}"
    subject = f"loopstack.run.{WORKSPACE}.{WORKFLOW}"
    body = json.dumps({"userId": "python", "payload": {"message": message}}).encode()
    headers = {"Loopstack-Run-Id": run_id, "Nats-Msg-Id": f"{WORKSPACE}.{WORKFLOW}:{run_id}", "X-Note": "Zürich — 日本"}
    return wait(nats, run_id, lambda inbox: nats.publish(subject, inbox, signer.sign(subject, headers, body), body))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "Hello"))
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
