"""Trained networks: reading one back from its run folder, and telling whether two are the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from study.config.study import ModelSettings
from study.models import Colorizer, build_model


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 (hex) of all weights, by name: equal digests mean bit-identical networks."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_network(run: Path, root: Path, device: str = "cpu") -> Colorizer:
    """The trained network of a run folder (model.pt beside record.json), ready to predict.

    root: the project, where a network of your own is looked for. Raises StudyError when its file cannot be loaded.
    """
    record = json.loads((run / "record.json").read_text())
    state = torch.load(run / "model.pt", map_location=device, weights_only=True)
    head = "ab" if state["head.weight"].shape[0] == 2 else "bins"
    model = build_model(ModelSettings.model_validate(record["model_settings"]), head, 0, root)
    model.load_state_dict(state)
    return model.to(device, memory_format=torch.channels_last).eval()
