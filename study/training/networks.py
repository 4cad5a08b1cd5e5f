"""Trained networks: reading one back from its run folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from study.config.arms import LossSettings
from study.config.study import ModelSettings
from study.losses import head_of
from study.models import Colorizer, build_model
from study.models.recolor import recolor_of


def load_network(run: Path, root: Path, device: str = "cpu") -> Colorizer:
    """The trained network of a run folder (model.pt beside record.json), ready to predict.

    root: the project, where a loss or a network of your own is looked for. Raises StudyError when its file cannot be
    loaded.
    """
    record = json.loads((run / "record.json").read_text())
    state = torch.load(run / "model.pt", map_location=device, weights_only=True)
    head = head_of(LossSettings.model_validate(record["loss_settings"]), root)
    model = build_model(ModelSettings.model_validate(record["model_settings"]), head, 0, root)
    model.recolor = recolor_of(state)
    model.load_state_dict(state)
    return model.to(device, memory_format=torch.channels_last).eval()
