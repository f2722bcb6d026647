"""The two tests of robustness under the name by which configurations know them.

Hendrycks and Dietterich, ICLR 2019; Zhao, chapter 3, Table 3.5 and Figure A.4.
"""

from __future__ import annotations

from thesisbench.tasks.corruptions import CorruptionTest
from thesisbench.tasks.perturbations import PerturbationTest

__all__ = ["CorruptionTest", "PerturbationTest"]
