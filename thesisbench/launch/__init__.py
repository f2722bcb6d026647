"""Launchers: each only starts the execution of a run folder."""
