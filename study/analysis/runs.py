"""What there is to compare: the state of every declared cell, and the scores of the sound ones.

Only cells whose signature is the current one count, and only scores of the present test pictures by the present code;
the others are listed with the command that mends them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from study.config.arms import Arm
from study.files import damage_told, read_json
from study.project import Project
from study.training.fingerprint import code_fingerprint

SCORES = ["arm", "seed", "image", "kind", "metric", "value"]


@dataclass(frozen=True)
class Runs:
    """What there is to compare: the state of every declared cell; records, histories and scores of the sound ones.

    records and histories are keyed by (arm, seed).
    """

    cells: pd.DataFrame
    records: dict[tuple[str, int], dict[str, Any]]
    histories: dict[tuple[str, int], pd.DataFrame]
    scores: pd.DataFrame
    lpips: dict[str, Any]

    def seeds(self, arm: str) -> list[int]:
        """Seeds of `arm` that finished and are scored."""
        return sorted(self.scores.loc[self.scores["arm"] == arm, "seed"].unique().tolist())


def scoring_digest(project: Project, study: str) -> str:
    """What the scores of a network depend on beside it: a hash (16 hex digits) of test pictures and scoring code."""
    code = code_fingerprint(Path(__file__).with_name("evaluate.py"))
    pictures = project.prepared(study).manifest["splits"]["test"]["sha256"]
    return hashlib.sha256(f"{pictures}\n{code}".encode()).hexdigest()[:16]


def read_runs(project: Project, study: str, arms: list[Arm]) -> Runs:
    """The state of every declared cell (finished, diverged, missing or outdated), and the scores of the sound ones."""
    states, records, histories, kept = [], {}, {}, []
    lpips = {"measured": False, "reason": "nothing is evaluated"}
    results, scoring = project.results(study), scoring_digest(project, study)
    for arm in arms:
        scores = _read_scores(results / "scores" / f"{arm.name}.parquet", f"run: study evaluate {study} {arm.name}")
        if arm.name == project.params.pipeline.baseline:
            lpips = scores.attrs.get("lpips", lpips)
        for cell in project.cells(study, [arm], project.seeds(study)):
            run = results / "runs" / arm.name / f"seed-{cell.seed}"
            train = f"study train {study} {arm.name}"
            again = f"{train} --seed {cell.seed}"  # what makes the cell once more, but collects nothing
            command = train
            record = _read_record(run / "record.json", f"run: {train}")
            status, detail = "missing", "not trained"
            if record is not None:
                status, detail = record["status"], ""
                if record["signature"] != cell.signature:
                    status, detail = "outdated", "trained with other settings, data or code"
                elif status == "diverged":
                    detail = f"at step {record['diverged']['step']}, term {record['diverged']['term']}"
                    command = again
                elif len(scores) and scores.attrs.get("scoring") != scoring:
                    status, detail = "outdated", "evaluated on other test pictures or with other code"
                    command = f"study evaluate {study} {arm.name}"
                elif scores.attrs.get("decode", arm.decode.model_dump()) != arm.decode.model_dump():
                    status, detail = "outdated", "evaluated with another decoding"
                    command = f"study evaluate {study} {arm.name}"
                else:
                    own = scores[(scores["seed"] == cell.seed) & (scores["signature"] == cell.signature)]
                    if len(own):
                        kept.append(own[SCORES])
                        records[arm.name, cell.seed] = record
                        command = again
                        with damage_told(run / "history.csv", f"run: {train}"):
                            histories[arm.name, cell.seed] = pd.read_csv(run / "history.csv")
                    else:
                        status, detail = "missing", "trained, but not evaluated"
                        command = f"study evaluate {study} {arm.name}"
            states.append(
                {
                    "study": study,
                    "arm": arm.name,
                    "seed": cell.seed,
                    "status": status,
                    "detail": detail,
                    "signature": cell.signature,
                    "steps": record["steps"] if record else None,
                    "seconds": record["seconds"] if record else None,
                    "images_per_s": record["images_per_s"] if record else None,
                    "command": command,
                }
            )
    scores = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=SCORES)
    return Runs(pd.DataFrame(states), records, histories, scores, lpips)


def _read_record(path: Path, mend: str) -> dict[str, Any] | None:
    try:
        return read_json(path, mend)
    except FileNotFoundError:
        return None


def _read_scores(path: Path, mend: str) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=[*SCORES, "signature"])
    with damage_told(path, mend):
        table = pd.read_parquet(path)
    # Plain objects: arms have different categories, and text columns take ten times as long to make.
    return table.astype(dict.fromkeys(("arm", "image", "kind", "metric"), object))


def score_matrices(rows: pd.DataFrame, arms: list[str]) -> dict[str, pd.DataFrame]:
    """Scores of one metric as a table seeds x images per arm; images without a value in any arm are left out of all."""
    matrices = {arm: rows[rows["arm"] == arm].pivot(index="seed", columns="image", values="value") for arm in arms}
    matrices = {arm: matrix for arm, matrix in matrices.items() if len(matrix)}
    defined = None
    for matrix in matrices.values():
        complete = matrix.columns[matrix.notna().all()]
        defined = complete if defined is None else defined.intersection(complete)
    return {arm: matrix[defined].sort_index() for arm, matrix in matrices.items()}
