"""The user's overrides, each given to the runs it can mean and to no other.

`schedule.epochs=5` is for the fits of a table, not for the evaluations behind its cells. A value
goes to the runs that have its key; a group choice to the fits, and to any run that has chosen an
option of that group. One that is for no run at all is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError

PLUMBING = ("trainer", "launcher", "logger")
STEP_GROUPS = ("evaluation", "compute")
_NOT_HERE = {
    "experiment": "the spec of a table names its recipes; use `thesisbench train` for others",
    "kind": "the spec of a table says what its steps are",
    "revision": "it is raised in a recipe after a bug fix",
    "seed": "use --seeds to add or leave out replicates",
    "split": "the spec of a table says its replicates",
}


@dataclass
class UserOverrides:
    """Overrides of a command line that plans tables.

    Attributes:
        words: in Hydra's grammar, as given. composer: makes configurations.
        used: those that went to a run. refused: those that fitted none so far -> the reason.
    """

    words: tuple[str, ...]
    composer: Composer
    used: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for override in self.composer.parse(self.words):
            if hint := _NOT_HERE.get(override.key_or_group):
                raise UserError(f"overrides: {override.input_line!r} is not for tables; {hint}")

    def apply(self, recipe: list[str], plain: Composed) -> Composed:
        """A run's configuration with the overrides that are for it.

        Args:
            recipe: what the specs say, as overrides.
            plain: the configuration these make.

        Raises:
            UserError: a value that the run has a key for, but that does not fit.
        """
        groups = [word for word in self.words if self._chooses(word, plain)]
        chosen = self._compose(recipe, groups, plain)
        mine = [w for w in self.words if w in groups or self._sets(w, chosen)]
        self.used.update(mine)
        for word in self.words:
            if word not in self.used and word not in self.refused:
                self.refused[word] = self._why_not(word, recipe)
        return self._compose(recipe, mine, plain)

    def unused(self) -> dict[str, str]:
        """Overrides that change no run -> a line that says so, or what is wrong with them."""
        nothing = "overrides: {!r} is for no run of these tables; leave it out"
        return {
            word: self.refused.get(word) or nothing.format(word)
            for word in self.words
            if word not in self.used
        }

    def _compose(self, recipe: list[str], mine: list[str], plain: Composed) -> Composed:
        if not mine:
            return plain
        try:
            return self.composer.compose([*recipe, *mine], "overrides")
        except UserError as error:
            if any(repr(word) in str(error) for word in recipe):
                text = f"{' '.join(mine)} does not go with what the spec of the table sets: {error}"
                raise UserError(text) from None
            raise

    def _chooses(self, word: str, plain: Composed) -> bool:
        """Whether it is a group choice for this run."""
        (override,) = self.composer.parse([word])
        key = override.key_or_group
        if not self.composer.is_group(key) or isinstance(override.value(), dict):
            return False
        chosen = plain.choices.get(key, "none") != "none"
        fits = plain.config["kind"] == "fit" and key not in STEP_GROUPS
        return chosen or fits or override.is_add() or key in PLUMBING

    def _sets(self, word: str, chosen: Composed) -> bool:
        """Whether it is a value for this run, given the options the user chose."""
        (override,) = self.composer.parse([word])
        key = override.key_or_group
        if self.composer.is_group(key) and not isinstance(override.value(), dict):
            return False
        added = override.is_add() or override.is_force_add() or key.split(".")[0] in PLUMBING
        return added or _has(chosen.config, key)

    def _why_not(self, word: str, recipe: list[str]) -> str:
        try:
            self.composer.compose([*recipe, word], "overrides")
        except UserError as error:
            return str(error)
        return ""


def _has(node: Any, key: str) -> bool:
    """Whether a dotted key is there; one whose parent is an empty node is not."""
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
