"""Networks: trunks that turn lightness into features, and the heads that are put on them."""

from __future__ import annotations

from study.models.colorizer import Colorizer, Trunk, half_resolution
from study.models.eccv16 import ECCV16
from study.models.heads import AbHead, BinsHead, Head
from study.models.hypercolumn import Hypercolumn
from study.models.registry import build_model, model_names, model_source, pretrained_sha256, register
from study.models.unet import UNet

__all__ = [
    "ECCV16",
    "AbHead",
    "BinsHead",
    "Colorizer",
    "Head",
    "Hypercolumn",
    "Trunk",
    "UNet",
    "build_model",
    "half_resolution",
    "model_names",
    "model_source",
    "pretrained_sha256",
    "register",
]
