"""What is new in a chapter, and nothing else; one folder a chapter."""
