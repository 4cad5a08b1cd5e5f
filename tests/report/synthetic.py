"""A made-up results folder in the shape that the pipeline writes: seeded, small, plausible, and not from any training.

`python -m tests.report.synthetic FOLDER` writes one and its report, to look at.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from skimage.color import lab2rgb

PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
# name, loss, weights, share of the truth's chroma that it paints, its ab RMSE, relative cost of a step
ARMS = (
    ("mse", "mse", {}, 0.52, 11.6, 1.0),
    ("smooth_l1", "smooth_l1", {}, 0.49, 11.7, 1.01),
    ("anti_average", "anti_average", PUBLISHED, 0.555, 11.62, 1.12),
    (
        "anti_average_normalized",
        "anti_average",
        {"lab": 1, "saturation": 2, "diversity": 1, "confidence": 1},
        0.53,
        11.7,
        1.12,
    ),
    ("confidence_only", "anti_average", {"lab": 1, "confidence": 10}, 0.81, 12.4, 1.06),
    ("saturation_only", "anti_average", {"lab": 1, "saturation": 1}, 0.74, 12.1, 1.05),
    ("strong", "anti_average", {"lab": 1, "saturation": 3, "confidence": 30}, 1.09, 15.2, 1.12),
    ("classification", "classification", {}, 0.86, 13.1, 1.48),
    ("classification_rebalanced", "classification", {}, 1.04, 14.9, 1.49),
    ("perceptual", "perceptual", {"lab": 1, "perceptual": 0.3}, 0.66, 11.9, 3.9),
)
METRICS = (
    # metric, unit, low, high, better, target, margin, says, weakness, start, slope with chroma, noise
    ("ab_rmse", "Lab", 0, math.inf, "lower", None, 0.2, "Root mean squared error of a and b of one image.",
     "Rewards averaging: the mean colour is its optimum.", None, None, 0.08),
    ("ciede2000", "ΔE00", 0, math.inf, "lower", None, 0.2, "Mean CIEDE2000 colour difference to the truth.",
     "Made for small differences; still rewards averaging.", 6.1, 1.9, 0.06),
    ("auc", "%", 0, 100, "higher", None, 0.3, "Area under the share of pixels within an ab distance of 0..150.",
     "Dominated by nearly gray pixels.", 92.1, -2.2, 0.1),
    ("psnr", "dB", 0, math.inf, "higher", None, 0.1, "Peak signal-to-noise ratio in sRGB.",
     "Dominated by the lightness that is passed through.", 25.2, -2.4, 0.05),
    ("chroma", "Lab", 0, 134, None, None, 0.5, "Mean chroma of the prediction.", "Says nothing about the place.",
     2.0, 24.0, 0.3),
    ("chroma_ratio", "1", 0, math.inf, "target", 1.0, 0.02, "Mean chroma divided by the truth's.",
     "Right amount of the wrong colour scores full marks.", 0.0, 1.0, 0.008),
    ("colorfulness", "1", 0, math.inf, None, None, 1.0, "Hasler and Suesstrunk's M3, on 0..255 sRGB.",
     "Grows with any spread of colour, right or wrong.", 9.0, 38.0, 0.6),
    ("hue_diversity", "1", 0, 1, None, None, 0.01, "Chroma-weighted circular variance of hue.",
     "One vivid object decides it.", 0.31, 0.12, 0.01),
    ("averaging_index", "1", 0, 1, "lower", None, 0.02, "Where a prediction lies between mode (0) and mean (1).",
     "Needs the true palette.", 1.25, -0.72, 0.012),
    ("mode_commitment", "1", 0, 1, "higher", None, 0.02, "Share of pixels within 10 Lab units of a mode.",
     "Needs the true palette.", 0.05, 0.5, 0.012),
    ("lpips", "distance", 0, 1, "lower", None, 0.005, "Learned perceptual distance, AlexNet.",
     "Trained on distortions, not on colour.", 0.19, -0.03, 0.002),
)  # fmt: skip
NO_LPIPS = "its weights are not in the cache and could not be fetched"
KINDS = {
    "sky": [(-6, -22), (12, -48), (-4, -10), (-12, -32), (-22, -18)],
    "grass": [(-46, 48), (-28, 28), (-24, 58), (-8, 30)],
    "flower": [(62, 40), (60, -30), (4, 78), (38, -60)],
    "car": [(58, 42), (8, -52), (-2, 62), (-40, 14)],
    "wall": [(0, 0), (2, 5), (-1, -4)],
    "brick": [(30, 26)],
}
TERMS = {"mse": ["lab"], "smooth_l1": ["smooth_l1"], "anti_average": list(PUBLISHED),
         "classification": ["cross_entropy"], "perceptual": ["lab", "perceptual"]}  # fmt: skip


def write_csv(path: Path, header: str, rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.replace(" ", "").split(","))
        writer.writerows(
            [["" if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in row] for row in rows]
        )


def verdict(
    delta: float, low: float, high: float, better: str | None, target: float | None, base: float, margin: float
) -> str:
    if math.isnan(low):
        return "undecided"
    if -margin < low and high < margin:
        return "equivalent"
    if low <= 0 <= high:
        return "undecided"
    if better is None:
        return "higher" if delta > 0 else "lower"
    good = (
        abs(base + delta - target) < abs(base - target) if better == "target" else (delta > 0) == (better == "higher")
    )
    return "better" if good else "worse"


def law_of(kinds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    rows = []
    for kind, modes in kinds.items():
        points = np.array(modes, float)
        chances = np.linspace(2, 1, len(points))
        chances /= chances.sum()
        mean = chances @ points
        spread = float(chances @ ((points - mean) ** 2).sum(axis=1) / 2)
        rows.append({"kind": kind, "modes": points.tolist(), "probabilities": chances.tolist(), "mean": mean.tolist(),
                     "variance": spread, "mean_chroma": float(chances @ np.hypot(*points.T))})  # fmt: skip
    return {"kinds": rows, "reachable_mse": float(np.mean([row["variance"] for row in rows]))}


def scenes(
    generator: np.random.Generator, many: int, size: int, law: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lab lightness, true ab and conditional mean ab of pictures made of a few tilted bands."""
    y, x = np.mgrid[:size, :size] / size
    light, ab, mean = np.empty((many, size, size)), np.empty((many, size, size, 2)), np.empty((many, size, size, 2))
    for image in range(many):
        angle, cuts = generator.uniform(0, math.pi), np.sort(generator.uniform(0.1, 0.9, 2))
        where = np.digitize((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5, cuts)
        light[image] = 55 + 12 * np.sin(14 * (x * math.sin(angle) + y)) + generator.normal(0, 3, (size, size))
        for part, row in enumerate(generator.choice(law["kinds"], min(3, len(law["kinds"])), replace=False)):
            mode = generator.choice(len(row["modes"]), p=row["probabilities"])
            ab[image][where >= part] = np.array(row["modes"][mode]) * 0.8
            mean[image][where >= part] = np.array(row["mean"]) * 0.8
    return light, ab, mean


def rgb(light: np.ndarray, ab: np.ndarray) -> np.ndarray:
    return np.round(lab2rgb(np.concatenate([light[..., None], ab], axis=-1)).clip(0, 1) * 255).astype(np.uint8)


def build_results(
    folder: Path,
    study: str = "made_up_world",
    title: str = "A made-up study: nothing here was trained",
    arms: tuple = ARMS,
    seeds: int = 5,
    kinds: dict | None = KINDS,
    lpips: bool = False,
    pictures: str = "test",
    images: int = 10,
    size: int = 32,
    broken: dict[tuple[str, int], str] | None = None,
    image_name: str = "scene {:02d}",
) -> Path:
    """Write results/<study>/ into `folder` and return it; `broken` maps (arm, seed) to a status of cells.csv."""
    generator, broken = np.random.default_rng(7), broken or {}
    results, baseline = folder / study, arms[0][0]
    tables, p_min = results / "tables", 2.0 ** (1 - seeds)
    good = {arm[0]: [s for s in range(seeds) if (arm[0], s) not in broken] for arm in arms}
    arm_rows, paired, kind_rows, curves, cells, cost, means = [], [], [], [], [], [], {}
    for name, _, _, ratio, rmse, _ in arms:
        for metric, _, _, _, _, _, _, _, _, start, slope, noise in METRICS:
            if not good[name] or (metric == "lpips" and not lpips):
                continue
            center = rmse if start is None else start + slope * ratio
            values = center + generator.normal(0, noise, len(good[name]))
            half = 2.3 * noise / math.sqrt(len(values)) * generator.uniform(0.8, 1.3) if len(values) > 1 else math.nan
            mean = float(values.mean())
            means[name, metric] = (mean, half)
            spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
            arm_rows.append([study, name, metric, mean, mean - half, mean + half, len(values), spread])
    for name, *_ in arms[1:]:
        for metric, _, _, _, better, target, margin, *_ in METRICS:
            if (name, metric) in means and (baseline, metric) in means:
                base, delta = means[baseline, metric][0], means[name, metric][0] - means[baseline, metric][0]
                half = 0.9 * means[name, metric][1]
                p = math.nan if math.isnan(half) else max(p_min, min(1.0, math.exp(-2 * abs(delta) / half)))
                said = verdict(delta, delta - half, delta + half, better, target, base, margin)
                paired.append([study, name, baseline, metric, delta, delta - half, delta + half, p,
                               min(1.0, 3 * p), p_min, said, len(good[name]), min(1.0, 2 * p)])  # fmt: skip
    law = law_of(kinds) if kinds else None
    for name, _, _, ratio, _, _ in arms:
        for row in law["kinds"] if law and good[name] else []:
            short, long_ = math.hypot(*row["mean"]), row["mean_chroma"]
            reach = np.interp(ratio, [0.5, 1.05], [short, long_]) * generator.uniform(0.94, 1.04)
            direction = np.array(row["mean"]) / max(short, 1e-9)
            for metric, value in (
                ("chroma", reach),
                ("a_mean", direction[0] * reach * 0.9),
                ("b_mean", direction[1] * reach * 0.9),
            ):
                half = 0.9 if len(good[name]) > 1 else math.nan
                kind_rows.append([study, name, row["kind"], metric, value, value - half, value + half, len(good[name])])
    steps, batch = 240, 64
    for name, loss, _, ratio, rmse, _ in arms:
        for step in range(20, steps + 1, 20) if good[name] else []:
            t = 1 - math.exp(-step / 60)
            shown = {("val", "ab_rmse"): 17 + (rmse - 17) * t, ("val", "chroma_ratio"): 0.1 + (ratio - 0.1) * t,
                     ("train", "total"): 300 * (1.1 - t), ("train", "lr"): 1e-3, ("train", "grad_norm"): 2.0,
                     ("train", "images_per_s"): 800.0}  # fmt: skip
            shown |= {
                ("train", term): (40 + 9 * len(term)) * (1.15 - t) * (1 + 0.1 * ratio)
                for term in TERMS.get(loss, ["lab"])
            }
            for (split, quantity), value in shown.items():
                value *= generator.uniform(0.97, 1.03)
                curves.append(
                    [
                        study,
                        name,
                        split,
                        quantity,
                        step,
                        step * batch,
                        value,
                        0.95 * value,
                        1.04 * value,
                        len(good[name]),
                    ]
                )
    for name, _, _, _, _, slow in arms:
        for seed in range(seeds):
            status = broken.get((name, seed), "finished")
            detail = {"diverged": "the term confidence was not finite at step 96", "missing": "not trained yet",
                      "outdated": "trained with another learning rate"}.get(status, "")  # fmt: skip
            done = status == "finished"
            signature = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()
            spent = [steps, 9.5 * slow, 810 / slow] if done else [None] * 3
            command = f"study train {study} {name} --seed {seed}"
            cells.append([study, name, seed, status, detail, signature, *spent, command])
        if good[name]:
            cost.append(
                [
                    study,
                    name,
                    118_000 + 5000 * (slow > 1.4),
                    39.5 * slow,
                    810 / slow,
                    310 * slow**0.3,
                    9.5 * slow,
                    slow,
                    *((0.97 * slow, 1.02 * slow) if name != baseline else (None, None)),
                    slow**0.3,
                ]
            )
    write_csv(tables / "arms.csv", "study, arm, metric, mean, low, high, seeds, sd", arm_rows)
    header = "study,arm,baseline,metric,delta,low,high,p,p_holm,p_min,verdict,seeds,p_t_holm"
    write_csv(tables / "paired.csv", header, paired)
    write_csv(tables / "kinds.csv", "study, arm, kind, metric, mean, low, high, seeds", kind_rows)
    write_csv(tables / "curves.csv", "study, arm, split, name, step, images, mean, low, high, seeds", curves)
    write_csv(tables / "cells.csv", "study,arm,seed,status,detail,signature,steps,seconds,images_per_s,command", cells)
    write_csv(
        tables / "cost.csv",
        "study,arm,parameters,step_ms,images_per_s,peak_memory_mb,seconds,step_ratio,step_low,step_high,memory_ratio",
        cost,
    )
    write_csv(
        tables / "metrics.csv",
        "metric,unit,low,high,better,target,margin,says,weakness",
        [list(row[:9]) for row in METRICS],
    )
    facts = {
        "study": study, "title": title, "baseline": baseline, "seeds": list(range(seeds)),
        "arms": [{"name": a[0], "description": f"{a[1]} with {len(a[2])} weights", "loss": a[1], "weights": a[2],
                  "options": {"rebalance": 0.5} if a[0].endswith("rebalanced") else {},
                  "decode": {"temperature": 0.38}} for a in arms],
        "training": {"images": 15360, "batch": 64, "learning_rate": 0.002, "width": 16, "levels": 3},
        "data": {"source": "palette_world" if kinds else "folder", "counts": {"train": 2000, "val": 200, "test": 400},
                 "size": size, "skipped": 0, "hashes": {"train": "ab" * 32, "val": "cd" * 32, "test": "ef" * 32}},
        "law": law,
        "timing": {"processes": 4, "rounds": 6, "cpu": "a made-up processor", "device": "cpu"},
        "lpips": {"measured": lpips, "reason": "" if lpips else NO_LPIPS},
        "pictures": pictures,
        "provenance": {"revision": "0" * 40, "python": "3.11.2", "torch": "2.15.0+cpu", "platform": "Linux x86_64",
                       "cpu": "a made-up processor", "cores": 2, "device": "cpu", "started": "2030-01-01T10:00:00Z",
                       "finished": "2030-01-01T10:21:00Z", "train_seconds": sum(r[7] or 0 for r in cells),
                       "commands": [f"study prepare {study}", f"study train {study}", f"study compare {study}"]},
    }  # fmt: skip
    (tables / "study.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    summary = {a[0]: {m: v[0] for (n, m), v in means.items() if n == a[0]} for a in arms}
    (tables / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    if images:
        light, ab, mean = scenes(generator, images, size, law or law_of(KINDS))
        names = np.array([image_name.format(i) for i in range(images)])
        (results / "predictions").mkdir()
        for name, _, _, ratio, _, _ in arms:
            if good[name]:
                mix = max(0.0, min(1.0, (ratio - 0.5) / 0.5))
                made = rgb(light, mean * (1 - 0.7 * mix) + ab * 0.7 * mix)
                content = {"names": names, "gray": rgb(light, ab * 0), "truth": rgb(light, ab), "prediction": made}
                if pictures == "showcase":
                    content |= {f"showcase_{key}": value[: images // 2] for key, value in content.items()}
                np.savez_compressed(results / "predictions" / f"{name}.npz", **content)
    return results


if __name__ == "__main__":
    import sys

    from study.report import write_report

    target = Path(sys.argv[1])
    made_results = build_results(target / "results", broken={("strong", 3): "diverged", ("perceptual", 4): "missing"})
    print(write_report(made_results, target / "reports" / made_results.name))
