"""Networks: trunks that turn lightness into features, and the heads that are put on them."""

from __future__ import annotations

from study.models.colorizer import Colorizer, Trunk, half_resolution
from study.models.heads import AbHead, BinsHead, Head
from study.models.registry import build_model, model_names, model_source, pretrained_sha256, register
from study.models.unet import UNet

__all__ = [
    "AbHead",
    "BinsHead",
    "Colorizer",
    "Head",
    "Trunk",
    "UNet",
    "build_model",
    "half_resolution",
    "model_names",
    "model_source",
    "pretrained_sha256",
    "register",
]
