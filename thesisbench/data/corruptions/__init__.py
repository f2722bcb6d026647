"""Common corruptions and perturbations of images, for tests of robustness."""
