"""Networks shared by chapters."""
