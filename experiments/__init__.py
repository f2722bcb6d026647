"""Specifications and accepted results, a folder a chapter; shipped as thesisbench.experiments."""
