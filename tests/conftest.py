"""Makes the parts that tests of several folders share importable, and interrupts work."""

import signal
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).with_name("toy")))

# A shell starts background jobs with interrupts ignored, and what they start inherits that; tests
# that interrupt a program need them.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
