"""Imported once by the fork server, so that a child imports nothing. Starts no threads, no CUDA."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    import thesisbench.run
    import thesisbench.tasks.classification
    import thesisbench.tasks.evaluate
    import thesisbench.training.fit  # noqa: F401

from thesisbench.store.provenance import code_version, library_versions

code_version()  # kept for the children, and it is this code that they run
library_versions()
