"""Options of config groups, read as files: their names, and what their first comment says.

Nothing is composed, so Hydra is not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from thesisbench.errors import UserError
from thesisbench.store.files import plain_errors

_PACKAGE = re.compile(r"#\s*@package\s+(\S+)")
_TARGET = re.compile(r"^_target_:\s*(\S+)", re.MULTILINE)
_VARIANTS = "variants."


@dataclass(frozen=True)
class Option:
    """An option of a config group.

    Attributes:
        group, name: chosen on a command line as group=name.
        what: the comment at the head of its file, in one line.
        package: where it goes in a run's configuration; empty where the file does not say.
        target: dotted path of the class or function it calls, if any.
        path: the file.
    """

    group: str
    name: str
    what: str
    package: str
    target: str
    path: Path

    @property
    def is_variant(self) -> bool:
        """It is a drop-in that rewrites the network."""
        return self.package.startswith(_VARIANTS)


def options(config_dirs: Sequence[str | Path], group: str = "*") -> list[Option]:
    """The options of a group (of all groups but `experiment`): shipped ones, then the users'.

    Raises:
        UserError: a folder that is not there, or a file that cannot be read.
    """
    return [option for root in config_roots(config_dirs) for option in _under(root, group)]


def config_roots(config_dirs: Sequence[str | Path]) -> list[Path]:
    """Folders of config groups: the shipped one, then the users'.

    Raises:
        UserError: a folder that is not there.
    """
    roots = [Path(str(files("thesisbench.conf")))]
    for directory in config_dirs:
        if not str(directory) or not Path(directory).is_dir():
            raise UserError(
                f"--config-dir {str(directory) or repr('')}: no such folder; it holds config groups"
            )
        roots.append(Path(directory))
    return roots


def _under(root: Path, group: str) -> Iterator[Option]:
    for path in sorted(root.glob(f"{group}/*.yaml")):
        if path.parent.name != "experiment":
            yield _option(path)


def _option(path: Path) -> Option:
    with plain_errors("read", path):
        text = path.read_text(encoding="utf-8", errors="replace")
    head = _header(text)
    package = next((m[1] for line in head if (m := _PACKAGE.match(line))), "")
    said = " ".join(line.lstrip("# ") for line in head if not _PACKAGE.match(line))
    target = _TARGET.search(text)
    return Option(path.parent.name, path.stem, said, package, target[1] if target else "", path)


def _header(text: str) -> list[str]:
    """The comment lines at the top of a file."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.strip())
    return lines
