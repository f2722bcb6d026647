"""Re-implementations of five computer-vision theses and the regeneration of their tables."""

__version__ = "0.1.0"
