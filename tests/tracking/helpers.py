"""Results as the pipeline leaves them, for trackers to read, and ways to look at what they wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from study.errors import StudyError

ARMS, SEEDS = ["mse", "vivid"], [0, 1]
STEPS = 12


def loss_at(step: int, seed: int) -> float:
    return 100.0 / step + seed


def write_cell(root: Path, arm: str, seed: int, study: str = "toy", **changes) -> None:
    """One training run: record.json and history.csv."""
    folder = root / "results" / study / "runs" / arm / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "study": study,
        "arm": arm,
        "seed": seed,
        "signature": f"{arm}-{seed}",
        "status": "finished",
        "diverged": None,
        "steps": STEPS,
        "images": STEPS * 64,
        "seconds": 3.25,
        "images_per_s": 200.5,
        "step_ms": 12.0,
        "parameters": 1234,
        "peak_memory_mb": None,
        "weights_sha256": f"weights of {arm} {seed}",
        "arm_settings": {
            "name": arm,
            "description": f"the {arm} arm",
            "loss": {"name": arm, "weights": {"lab": 1.0, "saturation": 0.01}, "options": {}, "file": None},
        },
        "model_settings": {"name": "unet", "options": {"width": 4}},
        "train_settings": {"images": STEPS * 64, "batch": 64, "learning_rate": 0.002, "flip": True},
        "environment": {"python": "3.11", "torch": "2", "device": "cpu", "cpu": "two cores", "platform": "Linux"},
        "started": "2026-01-02T03:04:00+00:00",
        "finished": "2026-01-02T03:04:12+00:00",
    }
    (folder / "record.json").write_text(json.dumps(record | changes))
    rows = [(step, "train", name, loss_at(step, seed)) for step in range(1, STEPS + 1) for name in ("total", "lab")]
    rows += [(step, "val", "ab_rmse", 20.0 - step) for step in (6, 12)]
    rows += [(3, "train", "hue", math.nan), (4, "train", "hue", math.inf), (5, "train", "hue", 0.5)]
    text = "".join(f"{step},{64 * step},{split},{name},{value!r}\n" for step, split, name, value in rows)
    (folder / "history.csv").write_text(f"step,images,split,name,value\n{text}")


def write_scores(root: Path, arm: str, seeds: list[int], study: str = "toy", shift: float = 0.0) -> None:
    """Two test pictures; chroma of seed k is 10k + 1 and 10k + 3; values of a part of the pictures must not count."""
    rows = [
        (study, arm, seed, f"{arm}-{seed}", image, region, metric, value + (100.0 if region == "sky" else 0.0))
        for seed in seeds
        for region in ("all", "sky")
        for image, metric, value in [
            ("a.png", "chroma", 10.0 * seed + 1 + shift),
            ("b.png", "chroma", 10.0 * seed + 3 + shift),
            ("a.png", "chroma_ratio", 0.5),
            ("b.png", "chroma_ratio", math.nan),
        ]
    ]
    path = root / "results" / study / "scores" / f"{arm}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["study", "arm", "seed", "signature", "image", "region", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)


def write_study(root: Path, study: str = "toy", arms: list[str] = ARMS, seeds: list[int] = SEEDS) -> Path:
    """Training runs and scores of every arm and seed."""
    for arm in arms:
        for seed in seeds:
            write_cell(root, arm, seed, study)
        write_scores(root, arm, seeds, study)
    return root


TRIALS = [
    {"family": "a", "trial": 0, "state": "complete", "w_saturation": 0.01, "o_rebalance": "", "fidelity": 20.5,
     "seeds": 2, "front": "yes", "stopped": "", "enqueued": "published weights"},
    {"family": "a", "trial": 1, "state": "diverged", "w_saturation": 8.0, "o_rebalance": "", "fidelity": "",
     "seeds": 0, "front": "no", "stopped": "", "enqueued": ""},
    {"family": "b", "trial": 0, "state": "complete", "w_saturation": "", "o_rebalance": "none", "fidelity": 21.0,
     "seeds": 1, "front": "no", "stopped": "dominated", "enqueued": ""},
]  # fmt: skip


def write_search(root: Path, study: str = "toy", best: float = 0.5, trials: list[dict] = TRIALS) -> Path:
    """The search of two families, `a` with two trials and a recommendation, `b` with one trial."""
    folder = root / "results" / study / "search"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(trials).to_csv(folder / "trials.csv", index=False)
    refit = {"ab_rmse": {"mean": 19.5, "low": 19.0, "high": 20.0}, "seconds": 3.0}
    families = {
        "a": {"hypervolume": [0.25, best], "choices": {"recommended": {"refit": refit}}},
        "b": {"hypervolume": [0.0], "choices": {}},
    }
    (folder / "search.json").write_text(json.dumps({"families": families, "budget": {"trials": 2, "seeds": 2}}))
    return root


def live_runs(client: Any, study: str) -> dict[str, list[Any]]:
    """Run name -> the runs of that name in the study's experiment."""
    experiment = client.get_experiment_by_name(study)
    named: dict[str, list[Any]] = {}
    for run in client.search_runs([experiment.experiment_id]):
        named.setdefault(run.info.run_name, []).append(run)
    return named


def only(runs: list[Any]) -> Any:
    """The one run there is."""
    (run,) = runs
    return run


def assert_one_line_names(error: StudyError, *parts: str) -> None:
    """The message is a line and names `parts`."""
    assert "\n" not in str(error)
    assert len(str(error)) < 600
    for part in parts:
        assert part in str(error)
