"""Environment variables, W&B, text encoding, LaTeX and the checkout. No secret is ever shown."""

from __future__ import annotations

import importlib.util
import multiprocessing
import shutil
import sys
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from thesisbench.doctor.check import Check
from thesisbench.loggers.mode import DEFAULT_URL, choose_mode
from thesisbench.store.provenance import code_version

PREFIX = "THESISBENCH_"
KNOWN = ("THESISBENCH_RUNS", "THESISBENCH_DATA", "THESISBENCH_ALLOW_TARGETS")


def surrounding_checks(environment: Mapping[str, str]) -> Iterator[Check]:
    """All that is neither package, device nor folder."""
    yield launcher_check(multiprocessing.get_all_start_methods())
    yield from variable_checks(environment)
    yield wandb_check(environment, installed=importlib.util.find_spec("wandb") is not None)
    yield encoding_check(sys.stdout.encoding or "none", sys.getfilesystemencoding())
    yield latex_check(shutil.which("pdflatex"))
    yield checkout_check(code_version())


def launcher_check(methods: list[str]) -> Check:
    """Whether the local launcher can start runs."""
    if "forkserver" in methods:
        return Check("local launcher", "ok", "can fork runs from a server")
    return Check("local launcher", "missing", "no forkserver on this system", "use launcher=inline")


def variable_checks(environment: Mapping[str, str]) -> Iterator[Check]:
    """Our variables; of one that we do not know only the name is shown."""
    ours = sorted(name for name in environment if name.startswith(PREFIX))
    given = [f"{name}={environment[name]}" for name in ours if name in KNOWN]
    yield Check("variables", "ok", " ".join(given) or f"none of {', '.join(KNOWN)} is set")
    for name in (name for name in ours if name not in KNOWN):
        yield Check(name, "warn", "is not a variable of ours", f"valid: {', '.join(KNOWN)}")


def wandb_check(environment: Mapping[str, str], *, installed: bool) -> Check:
    """Whether runs are mirrored to W&B, and where to."""
    if not installed:
        todo = "pip install 'thesisbench[wandb]' to mirror runs; nothing else needs it"
        return Check("W&B", "warn", "not installed, so runs are not mirrored", todo)
    said = environment.get("WANDB_MODE", "").lower()
    if said == "disabled":
        return Check("W&B", "ok", "WANDB_MODE=disabled, so runs are not mirrored")
    mode = choose_mode(environment)
    key = choose_mode({**environment, "WANDB_MODE": ""}) == "online"
    host = urlsplit(environment.get("WANDB_BASE_URL") or DEFAULT_URL).hostname or "no host"
    text = f"runs are mirrored {mode}; key for {host}: {'yes' if key else 'no'}"
    return Check("W&B", "ok", text, "" if key else "`wandb login` gives it one")


def encoding_check(output: str, files: str) -> Check:
    """Whether all characters of reports can be printed."""
    if {name.lower().replace("-", "") for name in (output, files)} == {"utf8"}:
        return Check("encoding", "ok", "UTF-8")
    text = f"{output} on the terminal, {files} for file names"
    return Check("encoding", "warn", text, "set LANG=C.UTF-8 or PYTHONUTF8=1")


def latex_check(program: str | None) -> Check:
    """LaTeX is only needed to compile tables by oneself."""
    if program is None:
        return Check("LaTeX", "ok", "no pdflatex; only needed to compile LaTeX tables here")
    return Check("LaTeX", "ok", program)


def checkout_check(version: Mapping[str, object]) -> Check:
    """The code that runs: a clean commit, a changed one, or an installed package."""
    commit = version.get("git_commit")
    if commit is None:
        text = f"version {version.get('package_version')}, not run from a checkout of its own"
        return Check("code", "ok", text)
    if version.get("dirty"):
        text = f"commit {str(commit)[:12]} with changes"
        return Check("code", "warn", text, "commit them before making records to be accepted")
    return Check("code", "ok", f"commit {str(commit)[:12]}, clean")
