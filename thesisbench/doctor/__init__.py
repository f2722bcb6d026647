"""Whether this machine can do the work: one line a check, and what to do where it cannot."""
