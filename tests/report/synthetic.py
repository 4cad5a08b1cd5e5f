"""A made-up results folder in the shape that the pipeline writes: seeded, small, plausible, and not from any training.

`python -m tests.report.synthetic FOLDER` writes one and its report, to look at.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from skimage.color import lab2rgb

from study.analysis.schemas import CLAIM_VERDICTS, TABLES, as_predicted
from study.search.schemas import FINALISTS, TRIALS
from study.tables import write_table

STUDY = "made_up_world"
PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}


@dataclass(frozen=True)
class MadeArm:
    """An arm: the share of the truth's chroma that it paints, its ab RMSE, and what study.json says of it."""

    name: str
    chroma: float
    error: float
    loss: str = "mse"
    weights: dict[str, float] = field(default_factory=dict)
    control: dict[str, str] | None = None
    tuned: dict[str, str] | None = None
    slow: float = 1.0


GRAY = MadeArm("gray", 0.0, 20.0, control={"of": "mse", "match": "gray"})
ARMS = (
    MadeArm("mse", 0.55, 11.6),
    MadeArm("anti_average", 0.56, 11.62, "anti_average", PUBLISHED, slow=1.1),
    MadeArm("strong", 1.2, 15.2, "anti_average", PUBLISHED | {"confidence": 30.0}, slow=1.1),
    MadeArm("zhang", 0.86, 13.1, "classification", {"cross_entropy": 1.0}, slow=1.5),
    MadeArm("tuned", 0.99, 13.0, "anti_average", PUBLISHED | {"confidence": 20.0, "saturation": 0.3},
            tuned={"family": "anti_average", "choice": "recommended"}, slow=1.1),
    GRAY,
    MadeArm("gain", 1.0, 13.6, control={"of": "mse", "match": "truth"}),
)  # fmt: skip
# metric: unit, low, high, better, target, margin, start, slope with chroma, noise
METRICS = {
    "ab_rmse": ("Lab", 0, math.inf, "lower", None, 0.2, None, None, 0.08),
    "ciede2000": ("CIEDE2000", 0, math.inf, "lower", None, 0.2, 6.1, 1.9, 0.06),
    "psnr": ("dB", 0, math.inf, "higher", None, 0.1, 25.2, -2.4, 0.05),
    "chroma_ratio": ("1", 0, math.inf, "target", 1.0, 0.02, 0.0, 1.0, 0.004),
    "colorfulness": ("1", 0, math.inf, "", None, 1.0, 9.0, 38.0, 0.6),
    "sepia_cast": ("Lab", 0, math.inf, "lower", None, 0.5, 6.0, -3.0, 0.05),
    "averaging_index": ("1", 0, 1, "lower", None, 0.02, 1.25, -0.72, 0.012),
    "mode_commitment": ("1", 0, 1, "higher", None, 0.02, 0.05, 0.5, 0.012),
    "lpips": ("distance", 0, 1, "lower", None, 0.005, None, None, None),  # never measured
}
PALETTES = {"sky": [(-6, -22), (12, -48), (-4, -10)], "flower": [(62, 40), (60, -30), (4, 78)], "roof": [(30, 26)]}


def distribution() -> dict[str, Any]:
    """The colour distribution of the made-up world, as study.json has it."""
    regions = []
    for name, modes in PALETTES.items():
        points = np.array(modes, float)
        chances = np.full(len(points), 1 / len(points))
        regions.append({"region": name, "modes": points.tolist(), "probabilities": chances.tolist(),
                        "mean": (chances @ points).tolist(), "variance": 1.0,
                        "mean_chroma": float(chances @ np.hypot(*points.T))})  # fmt: skip
    return {"regions": regions, "reachable_mse": 100.0, "casts": {"sepia_cast": 3.0}}


def verdict(delta: float, low: float, high: float, metric: str, base: float, scale: float = 1.0) -> str:
    """The verdict on a difference, by the rule of the method."""
    better, target, margin = METRICS[metric][3], METRICS[metric][4], METRICS[metric][5] * scale
    if math.isnan(low):
        return "inconclusive"
    if -margin < low and high < margin:
        return "within tolerance"
    if low <= 0 <= high or abs(delta) < margin:
        return "inconclusive"
    if not better:
        return "higher" if delta > 0 else "lower"
    nearer = abs(base + delta - target) < abs(base - target) if target is not None else (delta > 0) == (
        better == "higher")  # fmt: skip
    return "better" if nearer else "worse"


def build_results(
    folder: Path,
    arms: Sequence[MadeArm] = ARMS,
    seeds: int = 6,
    images: int = 10,
    size: int = 16,
    pictures: str = "test",
    known: bool = True,
    search: bool = True,
    explained: bool = True,
    broken: dict[tuple[str, int], str] | None = None,
    image_name: str = "scene {:02d}",
) -> Path:
    """Write results/<STUDY>/ into `folder` and return it.

    known: whether the colour distribution is; explained: whether claims, theory, gradients and the like have rows;
    broken: (arm, seed) -> a status of cells.csv.
    """
    rng, broken, results = np.random.default_rng(7), broken or {}, Path(folder) / STUDY
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    good = {one.name: [seed for seed in range(seeds) if (one.name, seed) not in broken] for one in arms}
    _scores(rows, arms, good, rng)
    if known:
        _regions(rows, arms, good, explained)
    _training(rows, arms, good, seeds, broken, explained)
    if explained:
        _claims(rows)
    rows["metrics"] = [
        {"metric": name, "unit": unit, "low": low, "high": high, "better": better, "target": target, "margin": margin,
         "says": f"says what {name} is", "weakness": f"says how {name} misleads", "key": place}
        for place, (name, (unit, low, high, better, target, margin, *_)) in enumerate(METRICS.items())
    ]  # fmt: skip
    for name, schema in TABLES.items():
        same = {"study": STUDY} if "study" in schema.names else {}
        write_table(results / "tables" / f"{name}.csv", schema, schema.frame(rows[name], **same))
    (results / "tables" / "study.json").write_text(json.dumps(_meta(arms, seeds, size, pictures, known)))
    if search:
        _search(results / "search", rng)
    if images:
        _pictures(results / "predictions", arms, good, images, size, pictures, image_name, rng)
    return results


def calibration(**shares: Sequence[float]) -> pd.DataFrame:
    """Rows of calibration.csv: for each arm the share of gray's squared error that each seed removes."""
    return pd.DataFrame([{"study": STUDY, "arm": arm, "seed": seed, "share_removed": share, "gain": 1.1}
                         for arm, own in shares.items() for seed, share in enumerate(own)])  # fmt: skip


def limit_tables(arms: Sequence[MadeArm] = ARMS, seeds: int = 3) -> dict[str, pd.DataFrame]:
    """limits, limits_arms and limit_curves. The least squared error is 100 and one more for each Lab unit of chroma."""
    rows, measures = [], []
    for one in [*arms, MadeArm("exact_law", 0.6, 10.5)]:
        chroma, error = 40 * one.chroma, one.error**2
        least = 100 + chroma
        for seed in range(seeds):
            rows.append({"study": STUDY, "arm": one.name, "seed": seed, "error": error + seed, "chroma": chroma + seed,
                         "ab_distance": 30 - chroma / 2, "least_error_at_chroma": least,
                         "least_error_at_distance": least, "excess_at_chroma": math.sqrt(error / least) - 1,
                         "excess_at_distance": 2 * math.sqrt(error / least) - 2})  # fmt: skip
        for measure in ("excess_at_chroma", "excess_at_distance"):
            mean = rows[-1][measure]
            measures += [{"study": STUDY, "arm": one.name, "measure": measure, "against": against, "mean": own,
                          "low": own - 0.01, "high": own + 0.01}
                         for against, own in (("", mean), ("mse", mean - 7))]  # fmt: skip
    curves = [{"study": STUDY, "curve": curve, "parameter": x, "chroma": 40 * x if curve != "distance_limit" else None,
               "ab_distance": 30 - 20 * x if curve != "chroma_limit" else None, "error": 100 + 40 * x}
              for curve in ("chroma_limit", "distance_limit", "gain", "lift", "transport", "chroma_limit_exact")
              for x in np.linspace(0, 1.2, 7)]  # fmt: skip
    return {"limits": pd.DataFrame(rows), "limits_arms": pd.DataFrame(measures), "limit_curves": pd.DataFrame(curves)}


def _scores(rows: dict, arms: Sequence[MadeArm], good: dict, rng: np.random.Generator) -> None:
    values: dict[tuple[str, str], np.ndarray] = {}
    for one in arms:
        for metric, (*_, start, slope, noise) in METRICS.items():
            if noise is None or not good[one.name]:
                continue
            center = one.error if start is None else start + slope * one.chroma
            own = values[one.name, metric] = center + noise * rng.uniform(-1, 1, len(good[one.name]))
            half = 2.3 * noise / math.sqrt(len(own)) if len(own) > 1 else math.nan
            rows["arms"].append({"arm": one.name, "metric": metric, "mean": own.mean(), "low": own.mean() - half,
                                 "high": own.mean() + half, "seeds": len(own)})  # fmt: skip
            rows["seeds"] += [{"arm": one.name, "metric": metric, "seed": seed, "value": value}
                              for seed, value in zip(good[one.name], own, strict=True)]  # fmt: skip
    baselines = [arms[0].name, *(["gain"] if any(one.name == "gain" for one in arms) else [])]
    for base in baselines:
        for (name, metric), own in values.items():
            if name == base or (base, metric) not in values or (base == "gain" and name != "tuned"):
                continue
            start = values[base, metric].mean()
            delta, half = own.mean() - start, 2 * METRICS[metric][-1] if len(own) > 1 else math.nan
            ends = (delta, delta - half, delta + half)
            said = {key: verdict(*ends, metric, start, scale) for key, scale in
                    (("verdict", 1), ("verdict_half_margin", 0.5), ("verdict_double_margin", 2))}  # fmt: skip
            rows["paired"].append({"arm": name, "baseline": base, "metric": metric, "delta": delta, "low": ends[1],
                                   "high": ends[2], "p": 0.03, "p_holm": 0.2, "p_min": 0.03, "p_t": 0.001,
                                   "p_t_holm": 0.0123, "seeds": len(own), "effect": 1.5, "improved": 0.6,
                                   "detectable": half, "seeds_needed": math.inf, "seed_share": 0.4, "image_share": 0.6,
                                   **said})  # fmt: skip


def _regions(rows: dict, arms: Sequence[MadeArm], good: dict, explained: bool) -> None:
    for one in arms:
        for region in distribution()["regions"] if good[one.name] else []:
            mean = np.array(region["mean"])
            spot = mean * one.chroma
            for metric, value in (("chroma", float(np.hypot(*spot))), ("a_mean", spot[0]), ("b_mean", spot[1])):
                rows["regions"].append({"arm": one.name, "region": region["region"], "metric": metric, "mean": value,
                                        "low": value - 1, "high": value + 1, "seeds": len(good[one.name])})  # fmt: skip
            if explained:
                told = one.loss != "classification"
                rows["theory"].append({
                    "arm": one.name, "region": region["region"], "predicted_a": mean[0] if told else None,
                    "predicted_b": mean[1] if told else None, "predicted_chroma": np.hypot(*mean) if told else None,
                    "a": spot[0], "b": spot[1], "chroma": np.hypot(*spot), "chroma_low": np.hypot(*spot) - 1,
                    "chroma_high": np.hypot(*spot) + 1, "true_chroma": region["mean_chroma"], "distance": 1.5,
                    "explained": ("no" if one.chroma > 1 else "yes") if told else "no theory",
                    "predicted_change": 4.0, "change": 3.0, "note": "", "mse_explains": one.chroma < 0.6,
                })  # fmt: skip


def _training(rows: dict, arms: Sequence[MadeArm], good: dict, seeds: int, broken: dict, explained: bool) -> None:
    for one in arms:
        terms = list(one.weights) or ["lab"]
        for seed in range(seeds):
            status = broken.get((one.name, seed), "finished")
            rows["cells"].append({"arm": one.name, "seed": seed, "status": status,
                                  "detail": "" if status == "finished" else f"it is {status}",
                                  "signature": hashlib.sha256(f"{one.name} {seed}".encode()).hexdigest(),
                                  "steps": 240, "seconds": 9.5 * one.slow,
                                  "command": f"study train {STUDY} {one.name} --seed {seed}"})  # fmt: skip
        if one.control or not good[one.name]:
            continue
        rows["cost"].append({"arm": one.name, "parameters": 118_000, "step_ms": 39.5 * one.slow, "images_per_s": 810,
                             "peak_memory_mb": 310 * one.slow, "step_ratio": one.slow, "step_low": 0.97 * one.slow,
                             "step_high": 1.02 * one.slow, "memory_ratio": one.slow})  # fmt: skip
        for step in (60, 120, 240):
            shown = {("val", "ab_rmse"): one.error + 60 / step, ("val", "chroma_ratio"): one.chroma}
            shown |= {("train", term): 40.0 / step for term in terms}
            shown |= {("val", f"gradient_{term}"): 1.0 for term in terms} if explained else {}
            rows["curves"] += [{"arm": one.name, "split": split, "name": name, "step": step, "images": 64 * step,
                                "mean": value, "low": 0.95 * value, "high": 1.04 * value, "seeds": seeds}
                               for (split, name), value in shown.items()]  # fmt: skip
        if not explained:
            continue
        rows["gradients"] += [{"arm": one.name, "term": term, "weight": one.weights.get(term, 1.0), "first": 0.5,
                               "last": 0.3, "mean": 0.005 if term == "saturation" else 0.4, "seeds": seeds}
                              for term in terms]  # fmt: skip
        rows["convergence"].append({"arm": one.name, "metric": "ab_rmse", "end": one.error, "change": -0.1,
                                    "low": -0.2, "high": 0.0, "margin": 0.2, "seeds": seeds,
                                    "flattened": "no" if one.name == "strong" else "yes"})  # fmt: skip
        rows["lengths"] += [{"study": study, "arm": one.name, "metric": "ab_rmse", "images": many, "mean": one.error,
                             "low": one.error - 1, "high": one.error + 1, "rank": place}
                            for study, many in ((STUDY, 15_360), ("made_up_double", 30_720))
                            for place in [list(arms).index(one) + 1]]  # fmt: skip
    if explained:
        rows["factorial"] += [{"metric": "chroma_ratio", "effect": effect, "estimate": 0.1, "low": 0.05, "high": 0.15,
                               "shapley": share, "seeds": seeds}
                              for effect, share in (("saturation", 0.6), ("confidence", 0.4),
                                                    ("saturation x confidence", None))]  # fmt: skip


def _claims(rows: dict) -> None:
    for place, said in enumerate(CLAIM_VERDICTS):
        predicted = ("confirmed", "refuted", "open")[place % 3]
        testable = said != "not testable"
        rows["claims"].append({
            "id": f"claim_{place}", "says": f"Claim {place} | holds", "verdict": said, "number": f"{place + 1}a",
            "estimate": 0.25 if testable else None, "low": 0.125 if testable else None,
            "high": 0.375 if testable else None, "p_t_holm": 0.0456, "metric": "chroma_ratio",
            "comparison": "anti_average − mse", "unit": "1", "predicted": predicted,
            "why": "amended on 2030-01-02" if place == 1 else "", "by": "study" if place == 2 else "loss",
            "margin": 0.02, "as_predicted": as_predicted(predicted, said), "verdict_half_margin": said,
            "verdict_double_margin": "inconclusive" if said == "confirmed" else said,
        })  # fmt: skip


def _meta(arms: Sequence[MadeArm], seeds: int, size: int, pictures: str, known: bool) -> dict[str, Any]:
    described = [{"name": one.name, "description": f"{one.name} in words", "loss": one.loss, "weights": one.weights,
                  "options": {}, "decode": {"temperature": 0.38}, "train": {}, "control": one.control,
                  "tuned": one.tuned} for one in arms]  # fmt: skip
    return {
        "study": STUDY, "title": "A made-up study", "baseline": arms[0].name, "seeds": list(range(seeds)),
        "arms": described, "model": {"name": "unet", "options": {"width": 16, "levels": 2}},
        "training": {"images": 15_360, "batch": 64, "learning_rate": 0.002, "steps": 240},
        "data": {"source": "palette_world", "counts": {"train": 2000, "test": 400}, "size": size, "skipped": 3},
        "color_distribution": distribution() if known else None, "pictures": pictures,
        "lpips": {"measured": False, "reason": "its weights are not at hand"}, "bootstrap": {"resamples": 100},
        "coverage": {"alike": 0.05, "unlike": 0.15}, "threats": [],
        "timing": {"processes": 4, "rounds": 6, "cpu": "a processor", "device": "cpu"},
        "provenance": {"revision": "0" * 40, "commands": [f"study prepare {STUDY}", f"study report {STUDY}"]},
    }  # fmt: skip


def _search(folder: Path, rng: np.random.Generator) -> None:
    columns = {"anti_average": ("w_confidence", 20.0), "zhang": ("d_temperature", 0.1)}
    trials, finalists, told, best = [], [], {}, {}
    for place, (family, (column, value)) in enumerate(columns.items()):
        for trial in range(8):
            scores = {"fidelity": 20 + trial / 4 + place, "vividness": 0.3 - trial / 40, "diversity": 0.2 + trial / 90}
            diverged = family == "zhang" and trial == 7
            trials.append({"family": family, "trial": trial, "state": "diverged" if diverged else "complete",
                           **({} if diverged else scores), "seeds": 2, "front": trial < 5 and not diverged,
                           column: value * 10 ** rng.uniform(-1, 0.3)})  # fmt: skip
        for metric, score in (("fidelity", 20.0), ("vividness", 0.1), ("diversity", 0.2)):
            finalists += [{"family": family, "choice": choice, "trial": trial, "metric": metric,
                           "searched": score + 0.01, "refit": score + place + bonus, "low": score - 0.05,
                           "high": score + 0.05 + place, "seeds": 2}
                          for choice, trial, bonus in (("recommended", 4, 0), ("vivid", 4, 0),
                                                       ("knee", 2, 0.05))]  # fmt: skip
        region = {
            column: {"low": value / 4, "high": value * 1.5, "middle": value, "open_low": False, "open_high": True}
        }
        told[family] = {"hypervolume": [0.1, 0.3, 0.5], "region": region if family == "anti_average" else None,
                        "middle": {"reason": "" if family == "anti_average" else "few candidates"}}  # fmt: skip
        kind = {"w_": "weights", "d_": "decode"}[column[:2]]
        best[family] = {"recommended": {"trial": 4, kind: {column[2:]: value}}}
    write_table(folder / "trials.csv", TRIALS, TRIALS.frame(trials))
    write_table(folder / "finalists.csv", FINALISTS, FINALISTS.frame(finalists))
    content = {"families": told, "sentences": {"anti_average": "Use confidence 20."}, "training_seconds": 100.0}
    (folder / "search.json").write_text(json.dumps(content))
    (folder / "best.yaml").write_text(yaml.safe_dump({"families": best}))


def _pictures(
    folder: Path, arms: Sequence[MadeArm], good: dict, images: int, size: int, pictures: str, image_name: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    folder.mkdir(parents=True)
    light = 60 + 20 * rng.random((images, size, size, 1)).round(1)
    ab = np.repeat(rng.uniform(-50, 50, (images, 1, 1, 2)), size, 1).repeat(size, 2)
    names = np.array([image_name.format(place) for place in range(images)])

    def rgb(colors: np.ndarray) -> np.ndarray:
        return np.round(lab2rgb(np.concatenate([light, colors], axis=-1)).clip(0, 1) * 255).astype(np.uint8)

    edges = np.linspace(-110, 110, 45)

    def use(prefix: str, colors: np.ndarray) -> dict[str, np.ndarray]:
        flat = colors.reshape(-1, 2)
        chroma, hue = np.hypot(*flat.T), np.degrees(np.arctan2(flat[:, 1], flat[:, 0]))
        return {f"{prefix}histogram_ab": np.histogram2d(*flat.T, bins=(edges, edges))[0].astype(np.int64),
                f"{prefix}histogram_hue": np.histogram(hue, np.linspace(-180, 180, 37), weights=chroma)[0],
                f"{prefix}histogram_chroma": np.histogram(chroma, np.linspace(0, 150, 61))[0]}  # fmt: skip

    for one in (one for one in arms if good[one.name]):
        made = ab * one.chroma + rng.normal(0, one.error / 2 if one.chroma else 0, ab.shape)
        content = {"names": names, "gray": rgb(ab * 0), "truth": rgb(ab), "prediction": rgb(made)}
        content |= {"grid": np.arange(min(4, images))} | use("", made) | use("true_", ab)
        if pictures == "showcase":
            shown = {key: content[key][:3] for key in ("names", "gray", "truth", "prediction")}
            content |= {f"showcase_{key}": value for key, value in shown.items()}
            content["showcase_credits"] = np.array([f"maker {place}" for place in range(3)])
        np.savez_compressed(folder / f"{one.name.replace('/', '_')}.npz", **content)


if __name__ == "__main__":
    from study.report import write_report

    target = Path(sys.argv[1])
    print(write_report(build_results(target / "results"), target / "reports" / STUDY))
