"""What is here, without planning or judging: `thesisbench list`, `search` and `show`."""
