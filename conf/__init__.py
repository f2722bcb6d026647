"""Hydra groups from which a run is composed; shipped as `thesisbench.conf`."""
