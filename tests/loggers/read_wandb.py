"""Prints what offline `.wandb` files hold, as JSON; its own program, since it imports wandb.

The file is a log of protocol-buffer records in LevelDB's format: a 7-byte header, then blocks of
32768 bytes of chunks (checksum, length, type: 1 whole, 2 first, 3 middle, 4 last).
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

BLOCK, HEADER = 32768, 7


def records(path: Path) -> Iterator[Any]:
    data, at, whole = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            record = messages.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def values(items: Any) -> dict[str, Any]:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def contents(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"history": [], "summary": {}, "exit": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found |= {"id": run.run_id, "group": run.run_group, "job_type": run.job_type}
            found |= {"name": run.display_name, "tags": list(run.tags), "host": run.host}
            found |= {"project": run.project, "config": values(run.config.update)}
        elif kind == "history":
            found["history"].append(values(record.history.item))
        elif kind == "summary":
            found["summary"] |= values(record.summary.update)
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
        elif kind in ("stats", "output", "output_raw", "files", "environment"):
            found.setdefault("unwanted", []).append(kind)
    return found


if __name__ == "__main__":
    print(json.dumps([contents(Path(path)) for path in sys.argv[1:]]))
