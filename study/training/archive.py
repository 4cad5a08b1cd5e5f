"""The networks of an arm in three small files that git can keep, and the way back into the cell store.

results/<study>/networks/ holds, for every arm:
    <arm>.safetensors      float16 weights: seed-<k>/<name>, or shared/<name> where all seeds have the same
    <arm>.histories.csv.gz what history.csv holds of every seed, with a first column `seed`
    <arm>.json             run records by seed, and how far float16 moves the validation scores
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from study.errors import StudyError
from study.files import atomic_write, atomic_write_bytes, atomic_write_json, read_json
from study.models.features import Features
from study.training.cell import Cell
from study.training.networks import load_network
from study.training.store import CellStore
from study.training.validation import Validation

COMPARED = ("ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity")


def save_networks(cells: list[Cell], store: CellStore, folder: Path) -> Path:
    """Write the three files of one arm's finished `cells`, all its seeds, to `folder`; returns that of the weights.

    Weights of cells that diverged are left out. StudyError for a cell that is not finished.
    """
    name, weights, records, histories = cells[0].arm.name, {}, {}, []
    for cell in cells:
        record = store.record(cell.signature)
        if record is None:
            raise StudyError(f"{name} seed {cell.seed} of {cell.study} is not trained: run study train {cell.study}")
        own = {"study": cell.study, "arm": name, "arm_settings": cell.arm.model_dump(), "signature": cell.signature}
        records[str(cell.seed)] = record | own
        table = pd.read_csv(store.path(cell.signature) / "history.csv", dtype=str)
        histories.append(table.assign(seed=cell.seed)[["seed", *table.columns]])
        if record["status"] == "finished":
            state = torch.load(store.path(cell.signature) / "model.pt", map_location="cpu", weights_only=True)
            weights[cell.seed] = {key: value.half().contiguous() for key, value in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    content = save(_without_repetition(weights))
    atomic_write_bytes(folder / f"{name}.safetensors", content)
    text = pd.concat(histories).to_csv(index=False).encode()
    atomic_write(folder / f"{name}.histories.csv.gz", lambda file: file.write(gzip.compress(text, mtime=0)))
    facts = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "float16_moves": _moved(cells, store, weights),
        "records": records,
    }
    atomic_write_json(folder / f"{name}.json", facts)
    return folder / f"{name}.safetensors"


class Restored(NamedTuple):
    """Seeds of an arm that came back, that were there already, and that belong to other code, data or settings."""

    back: list[int]
    there: list[int]
    other: list[int]


def restore_networks(cells: Iterable[Cell], folder: Path, store: CellStore) -> Restored:
    """Fill the cell store with one arm's `cells` from its files in `folder`, where the signatures are the same.

    A restored cell's record says so (`restored`), and its weights are rounded to float16. Raises StudyError for files
    that are missing, or that are not what was written together.
    """
    cells, found = list(cells), Restored([], [], [])
    name = cells[0].arm.name
    file = folder / f"{name}.safetensors"
    try:
        facts = read_json(folder / f"{name}.json", "take it from git again")
        if hashlib.sha256(file.read_bytes()).hexdigest() != facts["sha256"]:
            raise StudyError(f"{file} is not the file that {name}.json describes: take both from git again")
        tensors = load_file(file)
        histories = pd.read_csv(folder / f"{name}.histories.csv.gz", dtype=str)
    except FileNotFoundError as error:
        raise StudyError(f"there is no {error.filename}: nothing to restore {name} from") from error
    except (SafetensorError, gzip.BadGzipFile, EOFError) as error:
        raise StudyError(f"the networks of {name} in {folder} cannot be read ({error}): take them from git") from error
    for cell in cells:
        record = facts["records"].get(str(cell.seed))
        if store.record(cell.signature) is not None:
            found.there.append(cell.seed)
        elif record is None or record["signature"] != cell.signature:
            found.other.append(cell.seed)
        else:
            history = histories[histories["seed"] == str(cell.seed)].drop(columns="seed")
            _fill(store.path(cell.signature), record, _state(tensors, cell.seed), history)
            found.back.append(cell.seed)
    return found


def _fill(run: Path, record: dict[str, Any], state: dict[str, Tensor], history: pd.DataFrame) -> None:
    run.mkdir(parents=True, exist_ok=True)
    text = StringIO()
    history.to_csv(text, index=False)
    atomic_write_bytes(run / "history.csv", text.getvalue().encode())
    if record["status"] == "finished":
        atomic_write(run / "model.pt", lambda file: torch.save(state, file))
    atomic_write_json(run / "record.json", record | {"restored": True})


def _without_repetition(weights: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
    first, *others = weights.values() if weights else [{}]
    shared = {key for key, value in first.items() if all(torch.equal(value, other[key]) for other in others)}
    found = {f"shared/{key}": first[key] for key in sorted(shared)}
    for seed, state in weights.items():
        found |= {f"seed-{seed}/{key}": value for key, value in sorted(state.items()) if key not in shared}
    return found


def _state(tensors: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    own = (("shared/", tensors), (f"seed-{seed}/", tensors))
    return {key.removeprefix(to): x.float() for to, where in own for key, x in where.items() if key.startswith(to)}


def _moved(cells: list[Cell], store: CellStore, weights: dict[int, dict[str, Tensor]]) -> dict[str, float]:
    """The largest change of each validation score by rounding to float16, relative to the score."""
    moved = dict.fromkeys(COMPARED, 0.0)
    if not weights:
        return moved
    features = Features(cells[0].features) if cells[0].features else None
    validation = Validation(np.load(cells[0].data / "val.npy"), "cpu", features)
    for cell in cells:
        if cell.seed in weights:
            model = load_network(store.path(cell.signature), cell.root)
            before = validation.scores(model)
            model.load_state_dict({key: value.float() for key, value in weights[cell.seed].items()})
            after = validation.scores(model)
            for name in COMPARED:
                change = abs(after[name] - before[name]) / max(abs(before[name]), 1e-6)
                moved[name] = max(moved[name], float(f"{change:.3g}"))
    return moved


def arms_in(folder: Path) -> list[str]:
    """Names of the arms whose networks lie in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.safetensors"))
