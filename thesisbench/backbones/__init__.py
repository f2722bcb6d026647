"""Networks shared by the chapters, built from plain arguments."""
