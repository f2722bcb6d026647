"""A search that lasts: a file beside the runs, in which Optuna keeps what it proposed.

What a trial came to is read from records; the file only says which trials there are. A proposal
depends on the number of its trial and on the trials told before, so that a search which was
interrupted goes on as one that was not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from thesisbench.errors import UserError
from thesisbench.search_hparams.space import Space
from thesisbench.store.files import plain_errors

FOLDER = ".studies"
SETTINGS = "settings"
INSTALL = "search-hparams needs Optuna: pip install 'thesisbench[optuna]'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Outcome = Literal["done", "diverged", "failed"]


@dataclass(frozen=True)
class Trial:
    """A trial as the study has it.

    Attributes:
        number: from 0. values: key -> value. state: open, done, diverged or failed.
        value: of the metric, when done. runs: ids.
    """

    number: int
    values: Mapping[str, Any]
    state: str
    value: float | None
    runs: tuple[str, ...]


@dataclass
class Study:
    """The trials of a search.

    Attributes:
        name: of the study. file: that keeps it. space: what is searched.
    """

    name: str
    file: Path
    space: Space
    _study: Any

    @classmethod
    def open(cls, root: Path, name: str, space: Space, settings: Mapping[str, Any]) -> Study:
        """Opens a study, or begins it.

        Args:
            root: the runs folder.
            name: of the study.
            space: what is searched.
            settings: what may not change as long as it lasts; `direction` among them.

        Raises:
            UserError: no such name, a file that is no study, or a study of other settings.
        """
        optuna = imported()
        if not _NAME.fullmatch(name):
            raise UserError(f"--study {name!r}: use letters, digits, '.', '_' and '-' only")
        file = root / FOLDER / f"{name}.journal"
        with plain_errors("make", file):
            file.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(file)
        try:
            with plain_errors("write", file):
                found = _opened(optuna, file, name, settings)
        except (ValueError, KeyError, AssertionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{file} is no study that can be read ({reason}); move it away"
            ) from None
        return cls(name, file, space, found)

    def trials(self) -> list[Trial]:
        """All trials; one that was interrupted while it was drawn up counts as failed."""
        names = {"COMPLETE": "done", "PRUNED": "diverged", "FAIL": "failed"}
        keys = {parameter.key for parameter in self.space.parameters}
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            state = names.get(trial.state.name, "open" if set(trial.params) == keys else "failed")
            runs = tuple(trial.user_attrs.get("runs", ()))
            found.append(Trial(trial.number, dict(trial.params), state, trial.value, runs))
        return found

    def ask(self) -> Trial:
        """Draws up a new trial."""
        optuna = imported()
        number = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = optuna.samplers.TPESampler(seed=number)
        with plain_errors("write", self.file):
            trial = self._study.ask({p.key: p.distribution() for p in self.space.parameters})
        return Trial(trial.number, dict(trial.params), "open", None, ())

    def tell(self, trial: Trial, outcome: Outcome, value: float | None, runs: list[str]) -> None:
        """Notes what a trial came to; one that diverged counts as worse than all others."""
        from optuna.trial import Trial as OptunaTrial
        from optuna.trial import TrialState

        states = {
            "done": TrialState.COMPLETE,
            "diverged": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        if frozen.state.is_finished():
            return  # another process was faster
        with plain_errors("write", self.file):
            OptunaTrial(self._study, frozen._trial_id).set_user_attr("runs", runs)
            self._study.tell(trial.number, value, state=states[outcome], skip_if_finished=True)

    def best(self) -> Trial | None:
        """The best trial that is done; None when there is none."""
        done = [trial for trial in self.trials() if trial.value is not None]
        sign = 1 if self._study.direction.name == "MINIMIZE" else -1
        return min(done, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)


def imported() -> Any:
    """Optuna, which is quiet from then on.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(INSTALL) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _opened(optuna: Any, file: Path, name: str, settings: Mapping[str, Any]) -> Any:
    """The study in a file; one of other settings in which nothing was told yet begins anew."""
    backend = optuna.storages.journal.JournalFileBackend(str(file))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=settings["direction"],
        load_if_exists=True,
    )
    kept = study.user_attrs.get(SETTINGS)
    if kept == settings:
        return study
    told = any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    if kept is not None and told:
        other = [key for key in settings if kept.get(key) != settings[key]]
        raise UserError(
            f"--study {name}: it was begun with another {' and '.join(other)}; "
            "give the same words again, or another --study"
        )
    optuna.delete_study(study_name=name, storage=storage)
    study = optuna.create_study(storage=storage, study_name=name, direction=settings["direction"])
    study.set_user_attr(SETTINGS, settings)
    return study


def _cut_torn_line(file: Path) -> None:
    """Removes a last line that a power failure or a full disk has cut short."""
    if not file.exists():
        return
    data = file.read_bytes()
    whole = data.rpartition(b"\n")[0] + b"\n" if b"\n" in data else b""
    if data != whole:
        with file.open("r+b") as opened:
            opened.truncate(len(whole))
