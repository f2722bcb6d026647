"""Makes objects from `_target_` nodes, and only from packages on an allow-list.

A configuration is data; it must not be able to call anything it likes. Users allow their own
package with `--allow-targets PKG`, which travels to the runs in an environment variable.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate

from thesisbench.errors import UserError

ALLOW_VARIABLE = "THESISBENCH_ALLOW_TARGETS"
ALLOWED = (
    *(
        f"thesisbench.{p}"
        for p in (
            *("methods", "tasks", "layers", "backbones", "detection"),
            *("data", "metrics", "weights"),
        )
    ),
    *("torch.optim", "torch.nn", "torchvision.models", "torchvision.transforms", "torchmetrics"),
    *("pytorch_lightning.callbacks", "timm"),
)


def allowed_packages() -> tuple[str, ...]:
    """Packages a target may be in."""
    extra = os.environ.get(ALLOW_VARIABLE, "")
    return (*ALLOWED, *(p for p in extra.split(",") if p))


def targets(node: Any) -> Iterator[str]:
    """All `_target_` values in plain data."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets(value)


def check_targets(node: Any) -> None:
    """Raises UserError when a target is outside the allow-list."""
    packages = allowed_packages()
    for target in targets(node):
        inside = any(target.startswith(f"{p}.") for p in packages)
        if not inside or any(part.startswith("_") for part in target.split(".")):
            package = target.rpartition(".")[0] or target
            raise UserError(
                f"target {target!r} is outside the allowed packages; "
                f"if you trust it, add --allow-targets {package}"
            )


def make(node: Any) -> Any:
    """The object a node describes; None for an absent node.

    Args:
        node: plain data with `_target_`.

    Raises:
        UserError: the target is not allowed, not there, or does not take these arguments.
    """
    if not node:
        return None
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{node!r} describes no object: it has no _target_; choose an option file")
    check_targets(node)
    for target in targets(node):
        _check_origin(target)
    try:
        return instantiate(node, _convert_="all")
    except HydraException as error:
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise UserError(f"{node.get('_target_')} cannot be made: {reason}") from error


def _check_origin(target: str) -> None:
    """Refuses what an allowed module merely imports: `allowed.module.os.system` is not its own."""
    try:
        home = getattr(pkgutil.resolve_name(target), "__module__", None)
    except Exception as error:  # importing a module may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"target {target!r} cannot be imported: {reason}") from error
    if not any(f"{home}.".startswith(f"{p}.") for p in allowed_packages()):
        raise UserError(
            f"target {target!r} comes from {home}, which is outside the allowed packages"
        )
