"""Python and packages: their versions against the supported ranges."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from thesisbench.doctor.check import Check

OURS = "thesisbench"
DEVELOPERS = ("test", "lint")


def package_checks() -> Iterator[Check]:
    """Python, every package we need, and the extras."""
    try:
        said, needed = metadata(OURS), [Requirement(text) for text in requires(OURS) or ()]
    except PackageNotFoundError:
        text = "not installed, so supported versions are not known"
        yield Check(OURS, "warn", text, "pip install --editable . in the checkout")
        return
    yield python_check(platform.python_version(), said["Requires-Python"] or "")
    for requirement in needed:
        if _applies(requirement, ""):
            yield requirement_check(requirement)
    yield torchvision_check()
    for extra in said.get_all("Provides-Extra") or ():
        yield extra_check(extra, [r for r in needed if _is_of(r, extra)])


def python_check(found: str, supported: str) -> Check:
    """Python against a version range.

    >>> python_check("3.9.1", ">=3.11").state
    'missing'
    """
    if SpecifierSet(supported).contains(found, prereleases=True):
        return Check("python", "ok", found, essential=True)
    todo = f"use a Python {supported}, in a virtual environment"
    return Check("python", "missing", f"{found} is not supported", todo, essential=True)


def requirement_check(requirement: Requirement) -> Check:
    """A package that is always needed."""
    found, name = _installed(requirement.name), requirement.name
    todo = f"pip install '{name}{requirement.specifier}'"
    if found is None:
        return Check(name, "missing", "not installed", todo, essential=True)
    if requirement.specifier.contains(found, prereleases=True):
        return Check(name, "ok", found, essential=True)
    text = f"{found} is outside the supported {requirement.specifier}"
    return Check(name, "missing", text, todo, essential=True)


def torchvision_check() -> Check:
    """Whether torchvision was built for the torch that is here."""
    torch, name = _installed("torch"), "torchvision for torch"
    wanted = [Requirement(text) for text in _requires("torchvision")]
    torches = [r for r in wanted if r.name == "torch" and _applies(r, "")]
    wrong = [r for r in torches if torch and not r.specifier.contains(torch, prereleases=True)]
    if torch is None or not wanted:
        return Check(name, "warn", "cannot be compared, as one of them is not here")
    if not wrong:
        return Check(name, "ok", f"they fit ({torch})")
    text = f"torchvision {_installed('torchvision')} is for torch{wrong[0].specifier}, not {torch}"
    todo = "pip install --upgrade torch torchvision, both in one command"
    return Check(name, "missing", text, todo, essential=True)


def extra_check(extra: str, requirements: Sequence[Requirement]) -> Check:
    """A set of optional packages."""
    lacking = [r.name for r in requirements if not _fits(r)]
    name, present = f"extra {extra}", ", ".join(r.name for r in requirements)
    if not lacking:
        return Check(name, "ok", f"{present} installed")
    use = "only for developing" if extra in DEVELOPERS else "optional"
    text = f"{', '.join(lacking)} not installed or of another version ({use})"
    return Check(name, "warn", text, f"pip install '{OURS}[{extra}]'")


def _fits(requirement: Requirement) -> bool:
    found = _installed(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _is_of(requirement: Requirement, extra: str) -> bool:
    return _applies(requirement, extra) and not _applies(requirement, "")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _requires(name: str) -> list[str]:
    try:
        return list(requires(name) or ())
    except PackageNotFoundError:
        return []
