"""The numbers that COCO gives its 80 classes of things: 1 to 90, with gaps.

Networks that torchvision publishes for COCO have 91 outputs: these numbers and a background of 0.
"""

from __future__ import annotations

GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
COCO_IDS = tuple(n for n in range(1, 91) if n not in GAPS)
COCO_OUTPUTS = 91
