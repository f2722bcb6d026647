"""Chapter 2: border handling and absolute position (F-Conv)."""
