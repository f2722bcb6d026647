"""Lengths counted on small sources, the percentile by hand, and the exit code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "style_figures.py"

SOURCE = '''"""Header."""


class Thing:
    @property
    def two(self) -> int:
        return 2

    def outer(self) -> int:
        """With an inner function."""

        def inner() -> int:
            return 1

        return inner()


async def three(
) -> None:
    ...
'''


@pytest.fixture(scope="module")
def style() -> ModuleType:
    spec = importlib.util.spec_from_file_location("style_figures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["style_figures"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.py").write_text(SOURCE)
    return folder


def test_lines_of_files_and_functions_are_those_counted_by_hand(
    style: ModuleType, package: Path
) -> None:
    assert style.file_lengths(package) == [style.Length(20, "package/inner/a.py")]
    found = {x.name.rpartition(":")[2]: x.lines for x in style.function_lengths(package)}
    assert found == {"two": 2, "outer": 7, "inner": 2, "three": 3}


@pytest.mark.parametrize(
    ("lines", "median", "p90"),
    [([7], 7, 7), ([1, 2, 3, 10], 2.5, 10), (list(range(10, 0, -1)), 5.5, 9)],
)
def test_median_and_ninetieth_percentile(
    style: ModuleType, lines: list[int], median: float, p90: float
) -> None:
    lengths = [style.Length(n, str(n)) for n in lines]
    values = style.Figures("files", lengths, ("median", 5), 9).values
    assert values == {"median": median, "p90": p90}


@pytest.mark.parametrize(("lines", "code"), [(400, 0), (401, 1)])
def test_a_file_above_the_hard_bound_is_named_and_fails(
    style: ModuleType,
    package: Path,
    capsys: pytest.CaptureFixture[str],
    lines: int,
    code: int,
) -> None:
    (package / "long.py").write_text("x = 1\n" * lines)
    assert style.main([str(package)]) == code
    assert ("too long: package/long.py" in capsys.readouterr().out) == bool(code)


@pytest.mark.parametrize(("lines", "code"), [(80, 0), (81, 1)])
def test_a_function_above_the_hard_bound_is_named_and_fails(
    style: ModuleType,
    package: Path,
    capsys: pytest.CaptureFixture[str],
    lines: int,
    code: int,
) -> None:
    (package / "long.py").write_text("def endless() -> None:\n" + "    x = 1\n" * (lines - 1))
    assert style.main([str(package)]) == code
    assert ("too long: package/long.py:endless" in capsys.readouterr().out) == bool(code)


def test_a_soft_aim_that_is_missed_is_said_and_does_not_fail(
    style: ModuleType, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / "inner" / "a.py").write_text("x = 1\ndef f() -> None: ...\n" + "x = 1\n" * 149)
    assert style.main([str(package)]) == 0
    assert "median 151 (aim <= 150, MISSED)" in capsys.readouterr().out


def test_a_folder_without_sources_is_bad_input(style: ModuleType, tmp_path: Path) -> None:
    assert style.main([str(tmp_path)]) == 2
