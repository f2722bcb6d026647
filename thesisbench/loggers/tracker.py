"""W&B as the writer process uses it: the only place that imports wandb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from thesisbench.loggers.mode import Mode

SETTINGS: Mapping[str, Any] = {
    "silent": True,
    "console": "off",
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "host": "",
    "init_timeout": 10.0,
    "finish_timeout": 10.0,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


class Tracker(Protocol):
    """Where runs are mirrored to."""

    def open(self, manifest: Mapping[str, Any], entry: Mapping[str, Any], mode: Mode) -> Any:
        """Starts the tracked run of an entry, or goes on with the one that has its id."""

    def drop(self) -> None:
        """Lets go of all open runs, such as those of a lost connection."""


class Wandb:
    """W&B, imported by the writer process only."""

    def open(self, manifest: Mapping[str, Any], entry: Mapping[str, Any], mode: Mode) -> Any:
        """Starts the W&B run of an entry; no code, console, git state or host goes with it."""
        import wandb

        known = wandb.Settings.model_fields  # older versions lack some settings
        settings = wandb.Settings(**{k: v for k, v in SETTINGS.items() if k in known})
        return wandb.init(
            project=manifest["project"],
            entity=manifest["entity"],
            mode=mode,
            dir=manifest["root"],
            resume="allow",
            reinit="create_new",
            settings=settings,
            **entry,
        )

    def drop(self) -> None:
        """Ends W&B's service process, which keeps the ids of runs that failed to start."""
        import wandb

        wandb.teardown(exit_code=1)
