"""Chapter 3: the use of context by detectors."""
