"""Imported once by the fork server, so that a child imports nothing. Starts no threads, no CUDA.

An interrupt is for the launcher, which then ends the children: the server and what it forks ignore
it. Everything that lives by now is kept out of the children's garbage collections: the first one
would copy the server's whole memory, page by page, which costs a short run a third of a second.
"""

import atexit
import gc
import os
import signal
import warnings

signal.signal(signal.SIGINT, signal.SIG_IGN)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    import fsspec.implementations.chained  # type: ignore[import-untyped]  # noqa: F401
    import torch.utils.serialization.config  # noqa: F401

    import thesisbench.run
    import thesisbench.store.provenance as provenance
    import thesisbench.tasks.classification
    import thesisbench.tasks.evaluate
    import thesisbench.training.fit  # noqa: F401

provenance.code_version()  # kept for the children, and it is this code that they run
provenance.library_versions()
gc.collect()
gc.freeze()
atexit.register(os._exit, 0)  # the server need not take torch apart, which is slow and noisy
