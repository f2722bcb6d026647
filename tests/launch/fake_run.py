"""Executes a run folder as a run on GPUs would be, without torch: `fake_run.py FOLDER`.

Writes `told.json` into the folder: the devices and launcher it sees, its process and one that it
has started, a child of a child. Then it does what its configuration says in `compute`: waits for
the file `until`, and ends as `ends` says ("done", "killed", "failed").
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from thesisbench.launch.jobs import BUSY, DONE, FAILED
from thesisbench.launch.tree import LAUNCHER, end_with_launcher
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease

SLEEP = (
    'import subprocess, sys; subprocess.run([sys.executable, "-c", "import time; time.sleep(99)"])'
)


def main() -> int:
    end_with_launcher()
    folder = RunFolder(Path(sys.argv[1]))
    lease = Lease.claim(folder.path).lease
    if lease is None:
        return BUSY
    child = subprocess.Popen([sys.executable, "-c", SLEEP])
    tell(folder, child.pid)
    task = folder.read_config()["config"]["compute"]
    while task["until"] and not Path(task["until"]).exists():
        time.sleep(0.01)
    print("said by the run")
    if task["ends"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task["ends"] == "failed":
        folder.write_state({"name": "failed", "message": "as told"}, lease)
        lease.release()
        return FAILED
    folder.publish_record({"result": {"outcome": "ok", "metrics": {}}}, lease)
    lease.release()
    return DONE


def tell(folder: RunFolder, child: int) -> None:
    """Writes what is seen here, complete or not at all."""
    names = ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "SLURM_NTASKS", "OMP_NUM_THREADS", LAUNCHER)
    told = {
        "pids": [os.getpid(), child],
        "group": os.getpgrp(),
        **{name: os.environ.get(name) for name in names},
    }
    path = folder.path / "told.json"
    path.with_suffix(".part").write_text(json.dumps(told))
    path.with_suffix(".part").replace(path)


if __name__ == "__main__":
    sys.exit(main())
