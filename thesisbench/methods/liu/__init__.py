"""Methods of Liu, Efficiency in deep learning."""
