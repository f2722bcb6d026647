"""The commands `data` and `weights`: list, prepare and verify; they start no run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thesisbench.commands.output import put
from thesisbench.selectors import AsJson, SpecDirs

if TYPE_CHECKING:
    from thesisbench.browse.registry import Registry

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="As `list` shows them.")]
Quick = Annotated[bool, typer.Option("--quick", help="Count, but do not read every image.")]

data = typer.Typer(help="Files of data sets: list, prepare, verify.")
weights = typer.Typer(help="Pretrained weights: list, prepare, verify.")


@data.command("list")
def list_data(spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """List all data sets, and whether their files are here.

    States: present; missing (`prepare` downloads it); by hand (missing, and this program cannot
    download it: `prepare` says what to do); procedural (made when needed); people.

      thesisbench data list --json
    """
    from thesisbench.data.files.command import data_states

    _show(data_states(_registry(spec_dir)), "data", as_json)


@data.command("prepare")
def prepare_data(names: Names, spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """Fetch data sets as far as that may be, and say what is left to do by hand.

    Files go below $THESISBENCH_DATA (default ~/.cache/thesisbench). What is there is not fetched
    again, and nothing is ever half there. Exit code 1 when something is left to do.

      thesisbench data prepare cifar10

      thesisbench data prepare imagenet   (unpacks the archives you have fetched)
    """
    from thesisbench.data.files.command import known, prepare_data

    registry = _registry(spec_dir)
    for name in names:
        known(registry, name)
    _prepare(lambda name: prepare_data(registry, name, _say), names, "data", as_json)


@data.command("verify")
def verify_data(
    names: Names, quick: Quick = False, spec_dir: SpecDirs = None, as_json: AsJson = False
) -> None:
    """Count and check the files of data sets; every broken file is named, not just the first.

    Prints the fingerprint that records carry. Exit code 1 when something is broken or missing.

      thesisbench data verify cifar10 fashion_mnist

      thesisbench data verify imagenet --quick
    """
    from thesisbench.data.files.command import verify_data

    registry = _registry(spec_dir)
    _verify(lambda name: verify_data(registry, name, decode=not quick), names, "data", as_json)


@weights.command("list")
def list_weights(spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """List all pretrained weights, and whether their files are here.

    States: present; missing (`prepare` downloads them); by hand (missing, and this program cannot
    download them: `prepare` says what to do).

      thesisbench weights list
    """
    from thesisbench.weights.command import weights_states

    _show(weights_states(_registry(spec_dir)), "weights", as_json)


@weights.command("prepare")
def prepare_weights(names: Names, spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """Download weights where that may be, and say what is left to do by hand.

    Exit code 1 when something is left to do.

      thesisbench weights prepare imagenet_resnet50_torchvision
    """
    from thesisbench.weights.command import prepare_weights

    registry = _registry(spec_dir)
    _prepare(lambda name: prepare_weights(registry, name, _say), names, "weights", as_json)


@weights.command("verify")
def verify_weights(names: Names, spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """Check files of weights: checksum, readable, finite; print the checksum that records carry.

    Exit code 1 when something is broken or missing.

      thesisbench weights verify imagenet_resnet50_torchvision
    """
    from thesisbench.weights.command import verify_weights

    registry = _registry(spec_dir)
    _verify(lambda name: verify_weights(registry, name), names, "weights", as_json)


def _registry(spec_dir: Sequence[str] | None) -> Registry:
    from thesisbench.browse.library import Library

    return Library.at(spec_dir or ()).registry


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _show(states: Sequence[Mapping[str, Any]], key: str, as_json: bool) -> None:
    if as_json:
        put({key: list(states)})
        return
    widths = [max(len(str(state[column])) for state in states) for column in ("name", "state")]
    for state in states:
        print(f"{state['name']:{widths[0]}}  {state['state']:{widths[1]}}  {state['title']}")


def _prepare(
    work: Callable[[str], list[str]], names: Sequence[str], key: str, as_json: bool
) -> None:
    """Prepares one after another; what fails keeps the others from nothing."""
    from thesisbench.data.files.fetch import FetchError

    found = []
    for name in dict.fromkeys(names):
        try:
            left = work(name)
        except FetchError as error:
            left = [str(error)]
        found.append({"name": name, "left": left})
        if not as_json:
            print(f"{name}: " + ("ready" if not left else "left to do:"))
            print("".join(f"  {line}\n" for line in left), end="")
    if as_json:
        put({key: found})
    raise typer.Exit(1 if any(entry["left"] for entry in found) else 0)


def _verify(
    work: Callable[[str], dict[str, Any]], names: Sequence[str], key: str, as_json: bool
) -> None:
    found = [work(name) for name in dict.fromkeys(names)]
    if as_json:
        put({key: found})
    else:
        for told in found:
            _print_checked(told)
    raise typer.Exit(1 if any(told["problems"] for told in found) else 0)


def _print_checked(told: Mapping[str, Any]) -> None:
    problems = told["problems"]
    state = f"broken or missing: {len(problems)}" if problems else "whole"
    print(f"{told['name']} in {told['folder']}: {state}")
    for what, count in told["counts"].items():
        print(f"  {what}: {count:,}")
    for note in told.get("notes", ()):
        print(f"  note: {note}")
    for problem in problems:
        print(f"  {problem}")
    fingerprint = told["fingerprint"] or {}
    for name, split in fingerprint.get("splits", {}).items():
        print(f"  fingerprint of {name}: {split['sha256']} ({split['count']:,})")
    if "file" in fingerprint:
        print(f"  {fingerprint['file']}: sha256 {fingerprint['sha256']}")
