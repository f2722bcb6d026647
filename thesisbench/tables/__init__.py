"""The table engine: specs, plan, cells, verdicts, report. It knows nothing of any chapter."""
