"""What is said when a normalisation is given a single value, which has no variance.

Torch refuses this in training: a batch normalisation of one sample whose map is 1x1 (Liu, chapter
5: batch normalisation at batch size 1), an instance normalisation of a map of 1x1, a group
normalisation of groups of one channel there. Larger maps of one sample are normalised, also by
batch normalisation, which then does what instance normalisation does.
"""

from __future__ import annotations

import re

from thesisbench.errors import UserError

_ALL = "take larger images or norm=layer"
_SAID = re.compile(r"Expected more than 1 (value per channel|spatial element) .*size.*?(\[.*\])")


def single_value(error: ValueError) -> UserError | None:
    """The error in words of ours, where it is torch's refusal; None for any other.

    Args:
        error: raised while training.
    """
    found = _SAID.search(str(error))
    if found is None:
        return None
    got = f"got a map of shape {found[2]} (batch, channels, height, width)"
    text = f"normalisation {got}: one value has no variance"
    if found[1] == "spatial element":
        return UserError(f"an instance {text}; {_ALL}")
    more = "raise schedule.batch_size, leave out a smaller last batch (schedule.drop_last=true)"
    return UserError(f"a {text}; {more}, or {_ALL}")
