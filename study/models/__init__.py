"""Networks: trunks that turn lightness into features, and the two heads that are put on them."""

from __future__ import annotations

from study.models.colorizer import Colorizer, Trunk, half_resolution
from study.models.registry import build_model, model_names, model_source, register
from study.models.unet import UNet

__all__ = ["Colorizer", "Trunk", "UNet", "build_model", "half_resolution", "model_names", "model_source", "register"]
