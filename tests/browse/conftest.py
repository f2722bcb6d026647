"""Makes the made-up chapter of the tests of tables importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tables"))
