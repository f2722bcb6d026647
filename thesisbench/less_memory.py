"""Another try for a run that ran out of memory: its batches in smaller parts, one after another.

The result stays the same experiment, and the run its id, where nothing in the network mixes the
samples of a batch; elsewhere it would be another one, and is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from thesisbench.errors import UserError
from thesisbench.store.runs import RunStore
from thesisbench.store.status import OUT_OF_MEMORY
from thesisbench.training.batching import Batching, norm_batch

PARTS = "parts"  # in config.yaml: how finely a batch is cut since the run ran out of memory


def out_of_memory(store: RunStore, failed: Iterable[str]) -> list[str]:
    """Those of the failed runs that ran out of memory."""
    return [run_id for run_id in failed if store.state(run_id).kind == OUT_OF_MEMORY]


def more_parts(store: RunStore, run_id: str) -> int:
    """Into how many parts each device should cut its batch next: twice as many, or the next number.

    Raises:
        UserError: smaller parts would change the result, or there are none.
    """
    config = store.folder(run_id).read_config()["config"]
    if config.get("kind") != "fit" or not config.get("schedule"):
        raise UserError(f"run {run_id} trains nothing, so it has no batches to cut")
    batching = Batching.of(config)
    size = batching.batch_size // batching.devices
    if batching.per_device == 1:
        raise UserError(f"run {run_id} has one sample a device already; use another machine")
    wanted = range(2 * batching.accumulate, size + 1)
    parts = next((n for n in wanted if size % n == 0), size)
    if norm_batch(cut(config, parts)) != norm_batch(config):
        text = f"run {run_id}: in smaller parts its batch normalisation would see other batches"
        raise UserError(f"{text}; schedule.accumulate={parts} makes that a run of its own")
    return parts


def cut(config: Mapping[str, Any], parts: int) -> dict[str, Any]:
    """A fit's configuration with its batches cut into so many parts, or more if it says more."""
    changed = copy.deepcopy(dict(config))
    if parts > Batching.of(config).accumulate:
        changed["schedule"]["accumulate"] = parts
        changed["trainer"] = {**(changed.get("trainer") or {}), "max_per_device_batch": None}
    return changed
