"""Whether the mirror goes online: only where a key is at hand, so that nobody is asked for it."""

from __future__ import annotations

import netrc
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from thesisbench.store.secrets import secrets_of

Mode = Literal["online", "offline"]
DEFAULT_URL = "https://api.wandb.ai"
_STAY_OFFLINE = ("offline", "disabled", "dryrun")


def choose_mode(environment: Mapping[str, str]) -> Mode:
    """Online with a key, unless `WANDB_MODE` says offline or disabled; else offline.

    Args:
        environment: variables, such as `os.environ`.
    """
    if environment.get("WANDB_MODE", "").lower() in _STAY_OFFLINE:
        return "offline"
    has_key = bool(environment.get("WANDB_API_KEY")) or _netrc_has_key(environment)
    return "online" if has_key else "offline"


def writer_environment(environment: Mapping[str, str], mode: Mode) -> dict[str, str]:
    """Variables of the writer process.

    Those that would tie all runs together stay out, and so do keys and tokens that are not W&B's;
    an offline writer is not given that one either.
    """
    dropped = {f"WANDB_{n}" for n in ("SERVICE", "SWEEP_ID", "SWEEP_PARAM_PATH", "RUN_ID", "MODE")}
    if mode == "offline":
        dropped.add("WANDB_API_KEY")
    dropped |= {name for name in secrets_of(environment) if not name.startswith("WANDB_")}
    kept = {name: value for name, value in environment.items() if name not in dropped}
    return {"WANDB_ERROR_REPORTING": "false", **kept, "WANDB_SILENT": "true"}


def _netrc_has_key(environment: Mapping[str, str]) -> bool:
    """Whether the netrc file has an entry for the W&B server; an unreadable file has none."""
    host = urlsplit(environment.get("WANDB_BASE_URL") or DEFAULT_URL).hostname or ""
    home = Path(environment.get("HOME") or "~").expanduser()
    named = environment.get("NETRC")
    files = [Path(named).expanduser()] if named else [home / ".netrc", home / "_netrc"]
    return any(_has_entry(file, host) for file in files)


def _has_entry(file: Path, host: str) -> bool:
    try:
        entry = netrc.netrc(str(file)).hosts.get(host)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False
    return entry is not None and bool(entry[2])
