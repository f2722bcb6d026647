"""The W&B mirror: one process a sweep copies what runs wrote; nothing is read back."""
