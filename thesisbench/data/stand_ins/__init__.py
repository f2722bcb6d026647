"""Procedural or small data sets in place of ones that are not at hand."""
