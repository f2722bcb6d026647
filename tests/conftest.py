"""Makes the parts that tests of several folders share importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).with_name("toy")))
