"""The benchmarks by name; each is a module with a function `measure(quick)`, imported when run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from benchmarks.harness import Comparison
from thesisbench.errors import UserError, unknown

SUMMARIES = {
    "step_overhead": "a training step of our fit over one of a loop written by hand",
    "run_overhead": "a run of the local launcher over the same training in a plain loop",
    "fresh_processes": "a grid by the local launcher, and by one new interpreter a run",
    "scheduling": "runs that do nothing: what the launcher needs between two of them",
    "workers": "two workers against one on the Red-Green grid",
    "planning": "planning all built tables, and composing their runs with plain Hydra",
    "collecting": "states and cells of many records, and only reading their JSON",
    "runs_folder": "a table of 10,000 and 100,000 run folders, collected and rendered",
    "status": "how far 10,000 runs are, and only asking for their records",
    "startup": "short answers of the command line, and importing torch",
    "input_pipeline": "training that loads its images, and on a batch that is there",
    "conv": "steps with other borders over one with same, beside their FLOPs",
    "f_conv_step": "a step of ResNets with full convolutions, against the ratio of FLOPs",
    "shift_evaluation": "64 shifts of an image together, and a pass over the data for each",
    "lift_pool": "LiftDownPool against max pool and BlurPool, forward and backward",
    "weight_align": "a step with WeightAlign and with timm's layer, and a folded network",
    "hide_curve": "objects hidden step by step together, and a pass for each step and object",
    "visual_verification": "recalls of all images and parts together, and part by part",
    "corruptions": "corrupting a batch of images, and each image by itself",
}


def chosen(names: Iterable[str]) -> list[str]:
    """The names given, each once, or all.

    Raises:
        UserError: one that does not exist.
    """
    names = list(dict.fromkeys(names)) or list(SUMMARIES)
    for name in names:
        if name not in SUMMARIES:
            raise UserError(unknown("benchmark", name, SUMMARIES))
    return names


def load(name: str) -> Callable[[bool], list[Comparison]]:
    """The function that measures: takes whether to be quick, returns what was compared."""
    measure: Callable[[bool], list[Comparison]] = import_module(f"benchmarks.{name}").measure
    return measure
