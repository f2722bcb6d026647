"""Makes the made-up runs folder importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
