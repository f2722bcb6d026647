"""One run folder: its files, how they are written and read.

config.yaml   the resolved configuration, written once when the run is planned
lease.<n>     who executes it (see `lease`)
state.json    how far its owner is, or why it failed; only a courtesy
record.json   the result; once there it never changes
log.txt  metrics.jsonl  attempts/<n>/checkpoints/  predictions/  pictures/
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from thesisbench.errors import CorruptFileError, UserError
from thesisbench.store.files import (
    format_json,
    is_there,
    plain_errors,
    publish,
    read_json,
    set_aside,
    write_json,
    write_text,
)
from thesisbench.store.lease import RECORD, TIMEOUT, Clock, Lease, lease_status
from thesisbench.store.secrets import masked_data, refuse_secrets
from thesisbench.store.status import OUTCOMES, RunStatus, derive, outcome_of

CONFIG = "config.yaml"

# The C versions are ten times as fast, and missing where PyYAML was built without libyaml.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a value that occurs twice out twice, so that people can read it."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        path: where it is; its name is the id of the run.
    """

    path: Path

    @property
    def id(self) -> str:
        """Id of the run."""
        return self.path.name

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / CONFIG

    @property
    def record_file(self) -> Path:
        """The result."""
        return self.path / RECORD

    @property
    def state_file(self) -> Path:
        """What the owner last said."""
        return self.path / "state.json"

    @property
    def log_file(self) -> Path:
        """Everything the attempts printed, tracebacks included."""
        return self.path / "log.txt"

    @property
    def metrics_file(self) -> Path:
        """Curves: one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def predictions_dir(self) -> Path:
        """Predictions that other runs or people read."""
        return self.path / "predictions"

    def attempt_dir(self, n: int) -> Path:
        """Checkpoints of the attempt that holds lease n; an overlapping one writes elsewhere."""
        return self.path / "attempts" / str(n) / "checkpoints"

    def exists(self) -> bool:
        """Whether this is a run folder: one with a configuration or a record."""
        return is_there(self.config_file) or is_there(self.record_file)

    def write_config(self, config: Mapping[str, Any]) -> bool:
        """Makes the folder and writes the configuration, unless it is there already.

        A configuration that cannot be read is set aside and written anew.

        Args:
            config: plain data with the key `id`; the key `config`, if any, comes last.

        Returns:
            Whether it was written.

        Raises:
            UserError: when it holds a key, token or password, when the folder holds another run,
                or cannot be written to.
        """
        text = self._checked(config)
        with plain_errors("make", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if publish(self.config_file, text):
            return True
        try:
            present = self.read_config()
        except CorruptFileError:
            set_aside(self.config_file)
            return publish(self.config_file, text)
        if present.get("id") != config["id"]:
            raise UserError(
                f"{self.config_file} belongs to run {present.get('id')!r}, not {config['id']!r}; "
                "move that folder away or choose another runs folder"
            )
        return False

    def renew_config(self, config: Mapping[str, Any]) -> None:
        """Replaces the configuration of a run that is to be tried again.

        The id stays, so only what does not change the result can differ (devices, workers).

        Args:
            config: as for `write_config`.

        Raises:
            UserError: when the folder holds another run, or cannot be written to.
        """
        if not self.write_config(config):
            write_text(self.config_file, self._checked(config))

    def _checked(self, config: Mapping[str, Any]) -> str:
        text = _yaml(config)
        refuse_secrets(config, f"run {self.id}", text)
        return text

    def read_config(self) -> dict[str, Any]:
        """The configuration.

        Raises:
            UserError: when there is none.
            CorruptFileError: when it is no mapping in YAML.
        """
        with plain_errors("read", self.config_file):
            data = self.config_file.read_bytes()
        try:
            config = yaml.load(data, Loader=Loader)
        except (yaml.YAMLError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CorruptFileError(f"{self.config_file} is corrupt: {reason}") from error
        if not isinstance(config, dict):
            raise CorruptFileError(f"{self.config_file} is corrupt: not a mapping")
        return config

    def read_record(self) -> dict[str, Any] | None:
        """The record, None if there is none yet.

        Raises:
            CorruptFileError: when it is not JSON, or its outcome is neither ok nor diverged.
        """
        record = _read_object(self.record_file)
        if record is not None and not outcome_of(record):
            raise CorruptFileError(
                f"{self.record_file} is corrupt: result.outcome is neither ok nor diverged"
            )
        return record

    def read_state(self) -> dict[str, Any] | None:
        """What an owner last said, None if nothing; raises CorruptFileError when it is not JSON."""
        return _read_object(self.state_file)

    def publish_record(self, record: Mapping[str, Any], lease: Lease) -> bool:
        """Publishes the result; the first one wins and stays.

        Args:
            record: plain data with `result.outcome` ("ok" or "diverged"), without NaN; keys and
                tokens in it are masked.
            lease: ours for this folder, looked at again just before.

        Returns:
            Whether it is ours that is there now; False when we lost the folder or came second.
        """
        if not outcome_of(record):
            raise ValueError(f"result.outcome of a record must be one of {OUTCOMES}")
        text = format_json(masked_data(record))
        return lease.is_mine() and publish(self.record_file, text)

    def write_state(self, state: Mapping[str, Any], lease: Lease) -> bool:
        """Says how far we are, or that we failed.

        Args:
            state: plain data: `name` ("running", "failed", ...), `message`, `progress`, `kind` of
                a failure; the number of the attempt is added, and `seconds` since it was claimed.
            lease: ours for this folder, looked at again just before.

        Returns:
            Whether it was written; False when we lost the folder.
        """
        if not lease.is_mine():
            return False
        seconds = round(time.monotonic() - lease.began, 3)
        said = {"seconds": seconds, **masked_data(state), "attempt": lease.n}
        write_json(self.state_file, said)
        return True

    def state(self, *, timeout: float = TIMEOUT, clock: Clock | None = None) -> RunStatus:
        """What the files say now; raises CorruptFileError when one cannot be read.

        Args:
            timeout: seconds without a heartbeat after which an owner counts as gone.
            clock: tells the time of the file system at a folder (seconds since the epoch).
        """
        lease = lease_status(self.path, timeout=timeout, clock=clock)
        planned = is_there(self.config_file)
        return derive(self.read_record(), self.read_state(), lease, planned=planned)


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, None if there is no such file."""
    try:
        value = read_json(path)
    except FileNotFoundError:
        return None
    if not isinstance(value, dict):
        raise CorruptFileError(f"{path} is corrupt: not an object")
    return value
