"""A process that launches toy jobs on a runs folder: `local_worker.py ROOT WORKERS ID[:NEED] ...`.

Says a line an event; an interrupt ends it with code 130.
"""

from __future__ import annotations

import sys
from pathlib import Path

from thesisbench.launch.jobs import Job
from thesisbench.launch.local import LocalLauncher
from thesisbench.store.runs import RunStore


def main() -> None:
    root, workers, *names = sys.argv[1:]
    jobs = [Job(name.split(":")[0], tuple(name.split(":")[1:])) for name in names]
    launcher = LocalLauncher(workers=int(workers), preload=("thesisbench.run", "toy_parts"))
    try:
        launcher.launch(
            RunStore(Path(root)), jobs, lambda i, word: print(word, i, flush=True), lambda _: None
        )
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
