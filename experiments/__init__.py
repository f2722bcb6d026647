"""Specifications and accepted results, one folder a chapter; shipped as `thesisbench.experiments`."""
