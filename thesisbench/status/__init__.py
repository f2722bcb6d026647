"""How far runs and tables are: looked at, shown once or watched. Nothing is executed or mended."""
