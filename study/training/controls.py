"""Controls: arms without training of their own, the networks of another arm with their colours changed by one rule.

A claim that a loss makes colours vivid must beat them: anyone can multiply.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from study.errors import StudyError
from study.files import atomic_write, atomic_write_json, atomic_write_text
from study.models import AbHead, Colorizer
from study.models.features import Features
from study.models.recolor import Lift, Transport
from study.training.cell import Cell
from study.training.digest import weights_digest
from study.training.machine import prepare_torch
from study.training.networks import load_network
from study.training.store import CellStore
from study.training.trainer import HISTORY_HEADER
from study.training.transport import fit_transport
from study.training.validation import Validation

LEAST_CHROMA = 1e-6  # Lab units, below which no gain makes a network colourful


def make_control(cell: Cell, folder: Path, store: CellStore) -> dict[str, Any]:
    """Make the control `cell` in `folder` from its sources, which are done, and return its record.

    A gain goes into the last layer's weights, a lift or a transport into the module that recolors predictions. So the
    control is a network like any other. Its history is one validation at the end. A source that diverged makes a
    control that diverged. StudyError for a gain on a source that predicts bins, and for a source that paints all
    validation pictures gray.
    """
    prepare_torch()
    records = [store.record(source.signature) for source in cell.sources]
    record = records[0] | {"arm": cell.arm.name, "signature": cell.signature, "arm_settings": cell.arm.model_dump()}
    for source in records:
        if source["status"] == "diverged":
            record |= {"status": "diverged", "diverged": source["diverged"]}
            atomic_write_text(folder / "history.csv", HISTORY_HEADER)
            atomic_write_json(folder / "record.json", record)
            return record
    networks = [load_network(store.path(source.signature), cell.root, cell.device) for source in cell.sources]
    model = networks[0]
    features = Features(cell.features) if cell.features else None
    validation = Validation(np.load(cell.data / "val.npy"), cell.device, features)
    if cell.arm.control.by == "gain":
        record["gain"] = _gain(cell, networks, validation)
        with torch.no_grad():
            model.head.weight *= record["gain"]
            model.head.bias *= record["gain"]
        scores = validation.scores(model)
    else:
        model.recolor = _recolor(cell, model, validation).to(cell.device)
        scores = _means(validation, model, cell.arm.decode.temperature)
    rows = "".join(f"{record['steps']},{record['images']},val,{name},{value!r}\n" for name, value in scores.items())
    atomic_write_text(folder / "history.csv", HISTORY_HEADER + rows)
    atomic_write(folder / "model.pt", lambda file: torch.save(model.state_dict(), file))
    record["weights_sha256"] = weights_digest(model)
    atomic_write_json(folder / "record.json", record)
    return record


def _gain(cell: Cell, networks: list[Colorizer], validation: Validation) -> float:
    """The gain that gives the mean chroma of what is matched on the validation pictures; 0 for gray."""
    control = cell.arm.control
    if not isinstance(networks[0].head, AbHead):
        raise StudyError(f"the control {cell.arm.name} needs an arm that predicts colours; {control.of} predicts bins")
    if control.match == "gray":
        return 0.0
    own = _chroma(cell, networks[0], validation)
    if control.match == "truth":
        return float(validation.truth["chroma"].mean()) / own
    matched = validation.per_image(networks[1], cell.sources[1].arm.decode.temperature)
    return float(matched["chroma"].mean()) / own


def _recolor(cell: Cell, model: Colorizer, validation: Validation) -> Lift | Transport:
    """The lift or transport that brings the colours on the validation pictures to the truth's."""
    own = _chroma(cell, model, validation)
    if cell.arm.control.by == "lift":
        return Lift(float(validation.truth["chroma"].mean()) - own)
    with torch.no_grad():
        predicted = [model.predict(x.lightness, cell.arm.decode.temperature, x.frozen) for x in validation.batches]
    colors, truth = (
        torch.cat([ab.movedim(1, -1).reshape(-1, 2) for ab in parts]).double().cpu().numpy()
        for parts in (predicted, [x.lab[:, 1:] for x in validation.batches])
    )
    return fit_transport(colors, truth, cell.arm.control.strength)


def _chroma(cell: Cell, model: Colorizer, validation: Validation) -> float:
    """Mean chroma on the validation pictures; StudyError where there is none."""
    own = float(validation.per_image(model, cell.arm.decode.temperature)["chroma"].mean())
    if own < LEAST_CHROMA:
        raise StudyError(f"{cell.arm.control.of} paints every validation picture gray: nothing makes that colourful")
    return own


def _means(validation: Validation, model: Colorizer, temperature: float) -> dict[str, float]:
    """What is measured on the recolored validation pictures."""
    means = {name: float(values.mean()) for name, values in validation.per_image(model, temperature).items()}
    return means | {"chroma_ratio": means["chroma"] / max(float(validation.truth["chroma"].mean()), LEAST_CHROMA)}
