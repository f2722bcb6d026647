"""A LightningDataModule over named splits of images with masks in files."""

from __future__ import annotations

from thesisbench.data.image_module import ImageFilesModule
from thesisbench.data.mask_files import MaskFiles


class MaskFilesModule(ImageFilesModule):
    """As `ImageFilesModule`, with lists of images and masks; transforms take both at once."""

    files = MaskFiles
    checked = "names"
