"""What there is to compare: the state of every declared training run, and the scores of the sound ones.

Only runs whose signature is the current one count, and only scores of the present test pictures by the present code.
The others are listed with the command that mends them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.analysis.pooled import POOLED
from study.config.arms import Arm
from study.files import explain_damage, read_json, sha256_array
from study.metrics import METRICS
from study.project import Project
from study.training.cell import Cell
from study.training.fingerprint import PACKAGE, code_fingerprint

SCORES = ["arm", "seed", "image", "region", "metric", "value"]

NOTHING_EVALUATED = {"measured": False, "reason": "nothing is evaluated"}


@dataclass(frozen=True)
class Runs:
    """What there is to compare: the state of every declared run; records, histories and scores of the sound ones.

    records and histories are keyed by (arm, seed). lpips: how LPIPS was measured, or why it was not. pooled: what the
    limits are made of, in the columns of the scores. base: what was noted of the baseline's networks for them.
    """

    cells: pd.DataFrame
    records: dict[tuple[str, int], dict[str, Any]]
    histories: dict[tuple[str, int], pd.DataFrame]
    scores: pd.DataFrame
    lpips: dict[str, Any]
    pooled: pd.DataFrame
    base: dict[str, Any]

    def seeds(self, arm: str) -> list[int]:
        """Seeds of `arm` that finished and are scored."""
        return sorted(self.scores.loc[self.scores["arm"] == arm, "seed"].unique().tolist())


def scoring_digest(project: Project, study: str, lpips: Mapping[str, Any]) -> str:
    """Hash (16 hex digits) of what decides the scores of a network: pictures, code, and the LPIPS network.

    lpips: what `study.metrics.lpips_facts` says of that network.
    """
    prepared = project.prepared(study)
    here = Path(__file__).parent
    metrics = (PACKAGE / "metrics").glob("*.py")  # which the registry imports by name
    known = prepared.color_distribution
    world = (known.modes, known.probabilities, prepared.regions("test")) if known else ()
    facts = {
        "pictures": prepared.manifest["splits"]["test"]["sha256"],
        "training pictures": prepared.manifest["data_hash"],  # they give the prior
        "distribution": [sha256_array(x) for x in world],
        "code": code_fingerprint(*(here / f"{name}.py" for name in ("scoring", "predictions", "pooled")), *metrics),
        "metrics": [
            [card.name, card.function.__qualname__, card.takes, card.regions, card.ratio_of_sums]
            for card in METRICS.values()
        ],
        "lpips": {key: lpips.get(key) for key in ("net", "version", "package", "trunk_sha256")},
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def read_runs(project: Project, study: str, arms: list[Arm]) -> Runs:
    """The state of every declared run (finished, diverged, missing or outdated), and the scores of the sound ones.

    LPIPS of different networks cannot be compared: the network that the baseline was scored with counts.
    """
    results = project.results(study)
    by_arm = {
        arm.name: _read_scores(results / "scores" / f"{arm.name}.parquet", f"run: study evaluate {study} {arm.name}")
        for arm in arms
    }
    baseline = by_arm.get(project.params.pipeline.baseline)
    lpips = NOTHING_EVALUATED if baseline is None else baseline.attrs.get("lpips", NOTHING_EVALUATED)
    scoring = scoring_digest(project, study, lpips)
    states, records, histories, kept = [], {}, {}, []
    for arm in arms:
        for cell in project.cells(study, [arm], project.seeds(study)):
            run = results / "runs" / arm.name / f"seed-{cell.seed}"
            record = _read_record(run / "record.json", f"run: study train {study} {arm.name}")
            state = _state(cell, record, by_arm[arm.name], scoring)
            if state.scores is not None:
                kept.append(state.scores)
                records[arm.name, cell.seed] = record
                with explain_damage(run / "history.csv", f"run: study train {study} {arm.name}"):
                    histories[arm.name, cell.seed] = pd.read_csv(run / "history.csv")
            states.append(
                {
                    "study": study,
                    "arm": arm.name,
                    "seed": cell.seed,
                    "status": state.status,
                    "detail": state.detail,
                    "signature": cell.signature,
                    "steps": record["steps"] if record else None,
                    "seconds": record["seconds"] if record else None,
                    "images_per_s": record["images_per_s"] if record else None,
                    "command": state.command,
                }
            )
    found = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=SCORES)
    pooled = found["region"] == POOLED
    base = {} if baseline is None else baseline.attrs.get("base", {})
    return Runs(pd.DataFrame(states), records, histories, found[~pooled], lpips, found[pooled], base)


class _State(NamedTuple):
    """How far a run is, the command that mends or repeats it, and its scores where they are sound."""

    status: str
    detail: str
    command: str
    scores: pd.DataFrame | None = None


def _state(cell: Cell, record: dict[str, Any] | None, scores: pd.DataFrame, scoring: str) -> _State:
    train, evaluate = (f"study {step} {cell.study} {cell.arm.name}" for step in ("train", "evaluate"))
    again = f"{train} --seed {cell.seed}"  # trains the run once more, but collects nothing
    if record is None:
        return _State("missing", "not trained", train)
    if record["signature"] != cell.signature:
        return _State("outdated", "trained with other settings, data or code", train)
    if record["status"] == "diverged":
        return _State("diverged", "at step {step}, term {term}".format(**record["diverged"]), again)
    if not len(scores):
        return _State("missing", "trained, but not evaluated", evaluate)
    if scores.attrs.get("scoring") != scoring:
        return _State("outdated", "evaluated on other test pictures, with other code or LPIPS weights", evaluate)
    if scores.attrs.get("decode") != cell.arm.decode.model_dump():
        return _State("outdated", "evaluated with another decoding", evaluate)
    own = scores[(scores["seed"] == cell.seed) & (scores["signature"] == cell.signature)]
    if not len(own):
        return _State("missing", "trained, but not evaluated", evaluate)
    return _State(record["status"], "", again, own[SCORES])


def _read_record(path: Path, mend: str) -> dict[str, Any] | None:
    try:
        return read_json(path, mend)
    except FileNotFoundError:
        return None


def _read_scores(path: Path, mend: str) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=[*SCORES, "signature"])
    with explain_damage(path, mend):
        table = pd.read_parquet(path)
    # Plain objects: arms have different categories, and text columns take ten times as long to make.
    texts = [name for name in ("arm", "image", "region", "metric") if name in table]
    return table.astype(dict.fromkeys(texts, object))


def score_matrices(rows: pd.DataFrame, arms: list[str]) -> dict[str, pd.DataFrame]:
    """Scores of one metric as a table seeds x images per arm; images without a value in any arm are left out of all."""
    matrices = {arm: rows[rows["arm"] == arm].pivot(index="seed", columns="image", values="value") for arm in arms}
    matrices = {arm: matrix for arm, matrix in matrices.items() if len(matrix)}
    defined = None
    for matrix in matrices.values():
        complete = matrix.columns[matrix.notna().all()]
        defined = complete if defined is None else defined.intersection(complete)
    return {arm: matrix[defined].sort_index() for arm, matrix in matrices.items()}
