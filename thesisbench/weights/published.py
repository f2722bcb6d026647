"""Which weights are published under the names of `experiments/weights.yaml`.

`imagenet_<model>_torchvision` are the IMAGENET1K_V1 weights of that model of torchvision, and
`imagenet_<model>_timm` those of that model of timm; other names stand in the tables below, the last
of which has weights that only their authors publish.

*Deviations*. The theses predate the second, better weights of torchvision (V2): V1 are taken.
RAFT's `C_T_SKHT_V1` are those of its authors, in torchvision's form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from thesisbench.errors import UserError, nearest

TORCHVISION = {
    "coco_faster_rcnn_r50": "FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
    "coco_mask_rcnn_r50": "MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
    "coco_retinanet_r50": "RetinaNet_ResNet50_FPN_Weights.COCO_V1",
    "raft_sintel": "Raft_Large_Weights.C_T_SKHT_V1",
    "raft_small_torchvision": "Raft_Small_Weights.C_T_V1",
}
TIMM = {
    "dino_vits8": "vit_small_patch8_224.dino",
    "imagenet_dpn92_timm": "dpn92.mx_in1k",
    "imagenet_dpn98_timm": "dpn98.mx_in1k",
    "imagenet_mobilenetv2_timm": "mobilenetv2_100.ra_in1k",
}
# BagNet-33 of Brendel and Bethge (MIT licence) and YOLOv3 of Redmon and Farhadi (free of any
# licence, they say); no checksum of them is published.
AUTHORS = {
    "coco_yolov3": "https://data.pjreddie.com/files/yolov3.weights",
    "imagenet_bagnet33": (
        "https://bitbucket.org/wielandbrendel/bag-of-feature-pretrained-models/raw/"
        "249e8fa82c0913623a807d9d35eeab9da7dcc2a8/bagnet32-2ddd53ed.pth.tar"
    ),
}
_NAMED = re.compile(r"imagenet_(?P<model>\w+)_(?P<package>torchvision|timm)")
_HASH = re.compile(r"-([0-9a-f]{8,})\.")  # torchvision and timm put it into the name of the file


@dataclass(frozen=True)
class Published:
    """A file of weights that may be downloaded.

    Attributes:
        urls: where it is. file: its name here. checksum: as for `fetch.fits`, None where unknown.
    """

    urls: tuple[str, ...]
    file: str
    checksum: str | None


def may_be_downloaded(name: str) -> bool:
    """Whether the name is one of the tables', torchvision's or timm's, judged by it alone."""
    return name in {**TORCHVISION, **TIMM, **AUTHORS} or _NAMED.fullmatch(name) is not None


def published(name: str) -> Published:
    """The file behind a name for which `may_be_downloaded`.

    Raises:
        UserError: the package has no such model or no weights of it.
    """
    if name in AUTHORS:
        return Published((AUTHORS[name],), AUTHORS[name].rpartition("/")[2], None)
    matched = _NAMED.fullmatch(name)
    if name in TORCHVISION or (matched and matched["package"] == "torchvision"):
        url = _torchvision_url(name, matched["model"] if matched else "")
        file = url.rpartition("/")[2]
    else:
        tag = TIMM.get(name) or (matched["model"] if matched else name)
        url, file = _timm_url(tag)
    digest = _HASH.search(file)
    return Published((url,), file, f"sha256:{digest[1]}" if digest else None)


def _torchvision_url(name: str, model: str) -> str:
    from torchvision import models

    if name in TORCHVISION:
        return str(models.get_weight(TORCHVISION[name]).url)
    try:
        return str(models.get_model_weights(model)["IMAGENET1K_V1"].url)
    except (ValueError, KeyError):
        close = ", ".join(nearest(model, models.list_models())) or "none"
        raise UserError(
            f"torchvision has no ImageNet weights of {model!r}; nearest: {close}"
        ) from None


def _timm_url(tag: str) -> tuple[str, str]:
    """Address and file name; files of the Hugging Face Hub get the tag for a name."""
    import timm

    try:
        config = timm.models.get_pretrained_cfg(tag, allow_unregistered=False)
    except RuntimeError:  # no such network
        config = None
    if config is None or not (config.url or config.hf_hub_id):
        close = ", ".join(nearest(tag, timm.list_pretrained())) or "none"
        raise UserError(f"timm has no weights of {tag!r}; nearest: {close}")
    if config.url:
        return str(config.url), str(config.url).rpartition("/")[2]
    address = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    return address, f"{tag}.safetensors"
