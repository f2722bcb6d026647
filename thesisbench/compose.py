"""Composes run configurations with Hydra, once per distinct set of group choices.

One Hydra compose costs about 80 ms, so value overrides are applied to copies of a composition that
has the same group choices; a test compares the result with plain Hydra, override for override.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from thesisbench.errors import UserError, unknown
from thesisbench.override_values import COMPOSE_ERRORS, apply_values, one_line
from thesisbench.schema import register

PRIMARY = "train"
_OURS = {
    "hydra/launcher": "runs are started by our own launcher: use launcher=local or launcher=inline",
    "hydra/sweeper": (
        "sweeps are expanded by `thesisbench train -m`: give ranges or comma lists; "
        "searches are made by `thesisbench search-hparams`"
    ),
}
_HYDRA = "Hydra only composes, its own settings change nothing; leave it out"


@dataclass(frozen=True)
class Composed:
    """A composed run: plain data and the group choices it was made from.

    Attributes:
        config: resolved configuration.
        choices: group -> option, without Hydra's own groups.
    """

    config: dict[str, Any]
    choices: dict[str, str]


@dataclass
class Composer:
    """Composes recipes with overrides in Hydra's grammar.

    Attributes:
        searchpath: extra configuration folders of the user, as paths, ``file://`` or ``pkg://``.
    """

    searchpath: tuple[str, ...] = ()
    _cache: dict[tuple[str, ...], tuple[DictConfig, dict[str, str]]] = field(default_factory=dict)
    _parsed: dict[str, Override] = field(default_factory=dict)

    def compose(self, overrides: Sequence[str], origin: str = "overrides") -> Composed:
        """The resolved configuration of a list of overrides; for one key the last one wins.

        Args:
            overrides: in Hydra's grammar, group choices and values mixed.
            origin: names the place the overrides come from, for errors.

        Raises:
            UserError: an override that does not parse, names no group or key, or has no such value.
        """
        groups, values = self._split(self.parse(overrides, origin), origin)
        key = tuple(str(o.input_line) for o in groups)
        if key not in self._cache:
            self._cache[key] = self._load(groups, key, origin)
        base, choices = self._cache[key]
        return Composed(apply_values(base, values, origin, self._groups), choices)

    def options(self, group: str) -> list[str]:
        """Names of the options of a config group."""
        return list(self._loader.get_group_options(group))

    @cached_property
    def _groups(self) -> tuple[str, ...]:
        top = self._loader.repository.get_group_options("", results_filter=None)
        return tuple(g for g in top if self.is_group(g) and g != "hydra")

    @cached_property
    def recipes(self) -> frozenset[str]:
        """Names of all recipes, as "<thesis>/<chapter>/<name>"."""
        return frozenset(self._all_options("experiment"))

    def is_group(self, key: str) -> bool:
        """Whether a key names a config group."""
        return self._loader.repository.group_exists(key)

    def parse(self, overrides: Sequence[str], origin: str = "overrides") -> list[Override]:
        """Parses overrides, sweeps included.

        Raises:
            UserError: text that is not of Hydra's grammar, or that we do not take.
        """
        for text in overrides:
            if text in self._parsed:
                continue
            try:
                override = self._parser.parse_override(text)
            except HydraException as error:
                raise UserError(
                    f"{origin}: {text!r} is not an override: {one_line(error)}"
                ) from None
            key = override.key_or_group
            if not key:
                raise UserError(f"{origin}: {text!r} is not an override: it names no key")
            if key in _OURS or key.replace(".", "/").split("/")[0] == "hydra":
                hint = _OURS.get(key, _HYDRA)
                raise UserError(f"{origin}: {text!r} is not used here; {hint}")
            self._parsed[text] = override
        return [self._parsed[text] for text in overrides]

    @cached_property
    def _loader(self) -> ConfigLoaderImpl:
        register()
        Plugins.instance()
        path = ConfigSearchPathImpl()
        path.append("hydra", "pkg://hydra.conf")
        path.append("main", "pkg://thesisbench.conf")
        for entry in self.searchpath:
            if not entry:
                raise UserError("--config-dir '': no such folder of configuration groups")
            folder = entry if "://" in entry else f"file://{Path(entry).resolve()}"
            if folder.startswith("file://") and not Path(folder.removeprefix("file://")).is_dir():
                raise UserError(f"--config-dir {entry}: no such folder of configuration groups")
            path.append("user", folder)
        path.append("schema", "structured://")
        return ConfigLoaderImpl(config_search_path=path)

    @cached_property
    def _parser(self) -> OverridesParser:
        return OverridesParser.create(config_loader=self._loader)

    def _split(
        self, parsed: Iterable[Override], origin: str
    ) -> tuple[list[Override], list[Override]]:
        groups: dict[str, Override] = {}
        values: list[Override] = []
        for override in parsed:
            if override.is_sweep_override():
                hint = "sweeps belong to `thesisbench train -m`"
                raise UserError(f"{origin}: {override.input_line!r} has several values; {hint}")
            key = override.key_or_group
            if self.is_group(key) and not isinstance(override.value(), dict):
                self._check_option(override, origin)
                groups.pop(key, None)
                groups[key] = override
            else:
                values.append(override)
        return list(groups.values()), values

    def _check_option(self, override: Override, origin: str) -> None:
        value, group = override.value(), override.key_or_group
        if override.is_delete():
            return
        for name in value if isinstance(value, list) else [value]:
            path = f"{group}/{name}"
            if ".." in path.split("/") or not self._loader.repository.config_exists(path):
                word = "null" if name is None else str(name)
                raise UserError(f"{origin}: {unknown(group, word, self._all_options(group))}")

    def _all_options(self, group: str) -> list[str]:
        names = list(self._loader.get_group_options(group))
        for inner in self._loader.repository.get_group_options(group, results_filter=None):
            if self.is_group(f"{group}/{inner}"):
                names += [f"{inner}/{name}" for name in self._all_options(f"{group}/{inner}")]
        return sorted(set(names))

    def _load(
        self, groups: Sequence[Override], key: tuple[str, ...], origin: str
    ) -> tuple[DictConfig, dict[str, str]]:
        try:
            config = self._loader.load_configuration(PRIMARY, list(key), RunMode.RUN)
        except COMPOSE_ERRORS as error:
            named = " ".join(str(o.input_line) for o in groups)
            raise UserError(f"{origin}: {named} does not compose: {one_line(error)}") from None
        choices = {k: str(v) for k, v in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return config, {g: c for g, c in choices.items() if not str(g).startswith("hydra/")}


def key_of(text: str) -> str:
    """The key an override writes, without ``+``, ``++`` or ``~``.

    >>> key_of("+optimizer.lr=0.1"), key_of("~scheduler")
    ('optimizer.lr', 'scheduler')
    """
    return text.split("=", 1)[0].lstrip("+~").strip()
