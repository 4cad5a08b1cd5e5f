"""Controls: arms without training of their own, the networks of another arm with all colours times one gain.

A claim that a loss makes colours vivid must beat them: anyone can multiply.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from study.color.tensors import images_to_tensor
from study.errors import StudyError
from study.files import atomic_write, atomic_write_json, atomic_write_text

if TYPE_CHECKING:
    from study.training.cells import CellStore
    from study.training.train import Cell

BATCH = 200


def make_control(cell: Cell, folder: Path, store: CellStore) -> dict[str, Any]:
    """Make the control `cell` in `folder` from its sources, which are done, and return its record.

    The gain is applied to the last layer's weights, so that the control is a network like any other. Its history is
    one validation at the end. A source that diverged makes a control that diverged.
    """
    from study.training.train import HISTORY_HEADER, Validation, load_model, prepare_torch, weights_digest

    prepare_torch()
    control = cell.arm.control
    records = [store.record(source.signature) for source in cell.sources]
    record = records[0] | {"arm": cell.arm.name, "signature": cell.signature, "arm_settings": cell.arm.model_dump()}
    for source in records:
        if source["status"] == "diverged":
            record |= {"status": "diverged", "diverged": source["diverged"]}
            atomic_write_text(folder / "history.csv", HISTORY_HEADER)
            atomic_write_json(folder / "record.json", record)
            return record
    networks = [load_model(store.path(source.signature), cell.device) for source in cell.sources]
    model = networks[0]
    if model.head_kind != "ab":
        raise StudyError(
            f"the control {cell.arm.name} needs an arm that predicts colours, but {control.of} predicts bins"
        )
    validation = Validation(np.load(cell.data / "val.npy"), torch.device(cell.device))
    gain = 0.0
    if control.match != "gray":
        own = validation.scores(model)
        aim = own["chroma"] / own["chroma_ratio"] if control.match == "truth" else _chroma_of_match(cell, networks[1])
        gain = aim / max(own["chroma"], 1e-6)
    with torch.no_grad():
        model.head.weight *= gain
        model.head.bias *= gain
    scores = validation.scores(model)
    rows = "".join(f"{record['steps']},{record['images']},val,{name},{value!r}\n" for name, value in scores.items())
    atomic_write_text(folder / "history.csv", HISTORY_HEADER + rows)
    atomic_write(folder / "model.pt", lambda file: torch.save(model.state_dict(), file))
    record |= {"weights_sha256": weights_digest(model), "gain": gain}
    atomic_write_json(folder / "record.json", record)
    return record


@torch.no_grad()
def _chroma_of_match(cell: Cell, model: torch.nn.Module) -> float:
    """Mean chroma on the validation pictures of the arm that is to be matched, at its own temperature."""
    from study.color.lab import rgb_to_lab
    from study.metrics import mean_chroma

    images = np.load(cell.data / "val.npy")
    total = 0.0
    for start in range(0, len(images), BATCH):
        lightness = rgb_to_lab(images_to_tensor(images[start : start + BATCH], cell.device))[:, :1]
        total += float(mean_chroma(model.predict(lightness, cell.sources[1].arm.decode.temperature)).sum())
    return total / len(images)
