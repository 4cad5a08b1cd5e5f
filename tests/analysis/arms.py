"""Arms for the analysis tests, written as their files would be."""

from __future__ import annotations

from typing import Any

from study.config.arms import Arm


def arm(name: str, loss: str = "anti_average", weights: dict[str, float] | None = None, **more: Any) -> Arm:
    """An arm with these settings; `options` go to the loss, anything else to the arm."""
    options = more.pop("options", {})
    settings = {"name": loss, "weights": weights or {}, "options": options}
    return Arm.model_validate({"name": name, "description": name, "loss": settings, **more})


MSE = arm("mse", "mse", {"lab": 1.0})
