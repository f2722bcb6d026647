"""A process that claims and publishes at our command; the fault tests stop and kill it.

Reads one command a line and answers with one line:
    claim FOLDER TIMEOUT    owned | busy | done
    mine                    true | false, for the lease owned last
    publish SIZE            true | false: publishes a record of about SIZE bytes
    race FILE SIZE          true | false: publishes such a record without asking for a lease
    state                   true | false: writes state.json
    release                 true
    storm FOLDER            (no answer) rewrites state and record there until killed
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from thesisbench.store.files import format_json, publish
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease


def record(size: int) -> dict[str, object]:
    return {"result": {"outcome": "ok", "filler": "x" * size, "end": True, "pid": os.getpid()}}


def storm(folder: Path) -> None:
    claim = Lease.claim(folder)
    assert claim.lease is not None
    run = RunFolder(folder)
    (folder / "storming").touch()
    while True:
        run.write_state({"name": "running", "message": "y" * 50_000, "end": True}, claim.lease)
        run.record_file.unlink(missing_ok=True)
        publish(run.record_file, format_json(record(50_000)))


def main() -> None:
    lease: Lease | None = None
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "claim":
            claim = Lease.claim(Path(arguments[0]), timeout=float(arguments[1]))
            lease = claim.lease or lease
            answer = claim.outcome.value
        elif command == "race":
            text = format_json(record(int(arguments[1])))
            answer = str(publish(Path(arguments[0]), text)).lower()
        elif command == "storm":
            storm(Path(arguments[0]))
        else:
            assert lease is not None
            run = RunFolder(lease.folder)
            if command == "mine":
                answer = str(lease.is_mine()).lower()
            elif command == "publish":
                answer = str(run.publish_record(record(int(arguments[0])), lease)).lower()
            elif command == "state":
                answer = str(run.write_state({"name": "running"}, lease)).lower()
            else:
                lease.release()
                answer = "true"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
