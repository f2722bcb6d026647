"""Chapter 4: parts that detectors find though they are not there."""
