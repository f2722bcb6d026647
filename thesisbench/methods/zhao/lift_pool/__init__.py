"""Chapter 3: LiftPool, bidirectional pooling."""
