"""The dictionaries that detectors, their data and their measures share.

A *target* says what is in an image, with torchvision's names: `boxes` Float[n 4] (x1, y1, x2, y2 in
pixels of the image as the network gets it), `labels` Int[n] from 0, without a background class,
`crowd` Bool[n]; where there are any, `difficult` Bool[n], `masks` Bool[n h w] and `state` Int[n]
(parts: 0 intact, 1 damaged, 2 absent, 3 occluded). A *prediction* says what was found: `boxes`
Float[m 4], `scores` Float[m], largest first, and `labels` Int[m]; some kinds add `cells` or
`masks`. Both n and m may be 0.
"""

from __future__ import annotations

from torch import Tensor

Target = dict[str, Tensor]
Prediction = dict[str, Tensor]
MISSING = 2  # states from here on are of parts that are not there (absent, occluded)
