"""YAML as specs use it: safe, without PyYAML's surprises, repeated keys refused.

Only ``true`` and ``false`` are booleans, ``1e-3`` is a number; ``010``, ``12:30``, ``2024-01-01``
are text, as in Hydra's grammar.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from thesisbench.errors import SpecError

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), "tf"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+]?[0-9]+)?"
            r"|\.[0-9]+(?:[eE][-+]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+)$"
        ),
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", re.compile(r"^<<$"), "<"),
)


class _StrictLoader(_BASE):
    """Safe loader with the few implicit types above."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"key {key!r} appears twice, again on line {line}")
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))


def _construct_float(loader: Any, node: Any) -> float:
    return float(loader.construct_scalar(node))


for _tag, _pattern, _first in _RESOLVERS:
    _StrictLoader.add_implicit_resolver(_tag, _pattern, list(_first))
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def parse_yaml(text: str, origin: str = "text") -> Any:
    """Reads YAML text; `origin` names it in errors.

    >>> parse_yaml("{a: 1e-3, b: off, c: 12:30, d: true}")
    {'a': 0.001, 'b': 'off', 'c': '12:30', 'd': True}

    Raises:
        SpecError: the text is not valid, or a key appears twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"{origin}: not valid YAML: {reason}") from None


def read_yaml(path: Path) -> Any:
    """Reads a YAML file of a spec folder.

    Raises:
        SpecError: the file cannot be read or is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    return parse_yaml(text, str(path))
