"""Chapter 5: WeightAlign, normalising activations by weight alignment."""
