"""Methods of Zhao, Learning continuity for visual recognition."""
