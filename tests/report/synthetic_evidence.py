"""What a made-up study has beyond the basic tables: claims, theory, ledger, factorial, lengths, seeds and a search."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.report.synthetic import PUBLISHED, build_results

LAB = {"lab": 1.0}
ZHANG = {"cross_entropy": 1.0}
# name, loss, weights, share of the truth's chroma that it paints, its ab RMSE, relative cost of a step
MANY = (
    ("mse", "mse", LAB, 0.52, 11.6, 1.0),
    ("huber", "huber", {"huber": 1.0}, 0.5, 11.7, 1.1),
    ("saturation", "anti_average", {**LAB, "saturation": 0.01}, 0.525, 11.6, 1.2),
    ("diversity", "anti_average", {**LAB, "diversity": 0.5}, 0.52, 11.61, 1.3),
    ("confidence", "anti_average", {**LAB, "confidence": 1.0}, 0.55, 11.62, 1.2),
    ("anti_average", "anti_average", PUBLISHED, 0.555, 11.62, 1.5),
    ("anti_average_normalized", "anti_average", {**LAB, "saturation": 2.0, "diversity": 1.0, "confidence": 1.0}, 1.2,
     16.9, 1.5),
    ("zhang_plain", "classification", ZHANG, 0.7, 12.2, 2.3),
    ("zhang", "classification", ZHANG, 0.86, 13.1, 2.4),
    ("anti_average_confidence_half", "anti_average", {**PUBLISHED, "confidence": 0.5}, 0.54, 11.61, 1.5),
    ("anti_average_confidence_double", "anti_average", {**PUBLISHED, "confidence": 2.0}, 0.58, 11.64, 1.5),
    ("anti_average_saturation_0.02", "anti_average", {**PUBLISHED, "saturation": 0.02}, 0.556, 11.62, 1.5),
    ("anti_average_saturation_0.05", "anti_average", {**PUBLISHED, "saturation": 0.05}, 0.56, 11.63, 1.5),
    ("anti_average_diversity_double", "anti_average", {**PUBLISHED, "diversity": 1.0}, 0.555, 11.62, 1.5),
    ("zhang_mean", "classification", ZHANG, 0.62, 11.9, 2.4),
    ("zhang_sharp", "classification", ZHANG, 0.97, 14.6, 2.4),
    ("strong_s", "anti_average", {**LAB, "saturation": 3.0}, 0.83, 12.6, 1.2),
    ("strong_d", "anti_average", {**LAB, "diversity": 300.0}, 0.6, 12.0, 1.3),
    ("strong_c", "anti_average", {**LAB, "confidence": 10.0}, 0.8, 12.4, 1.2),
    ("strong_sdc", "anti_average", {**LAB, "saturation": 3.0, "diversity": 300.0, "confidence": 10.0}, 0.98, 13.4, 1.5),
    ("anti_average_tuned", "anti_average", {**LAB, "saturation": 3.12, "diversity": 0.0, "confidence": 12.4}, 0.99,
     13.0, 1.5),
    ("zhang_tuned", "classification", ZHANG, 0.96, 13.9, 2.4),
    ("mse_tuned", "mse", LAB, 0.53, 11.5, 1.0),
    ("gray", "mse", LAB, 0.02, 15.0, 1.0),
    ("mse_gain", "mse", LAB, 0.56, 11.7, 1.0),
    ("mse_gain_truth", "mse", LAB, 1.0, 14.2, 1.0),
)  # fmt: skip
EXTRAS: dict[str, dict[str, Any]] = {
    "anti_average_normalized": {"options": {"units": "normalized"}},
    "zhang_plain": {"options": {"rebalance": None}},
    "zhang": {"options": {"rebalance": 0.5}},
    "zhang_mean": {"options": {"rebalance": 0.5}, "decode": {"temperature": 1.0}},
    "zhang_sharp": {"options": {"rebalance": 0.5}, "decode": {"temperature": 0.1}},
    "zhang_tuned": {"tuned": {"family": "zhang", "choice": "recommended"}, "options": {"rebalance": 0.7}},
    "anti_average_tuned": {
        "tuned": {"family": "anti_average", "choice": "recommended"}, "train": {"learning_rate": 0.0041}
    },
    "mse_tuned": {"tuned": {"family": "mse", "choice": "recommended"}, "train": {"learning_rate": 0.009}},
    "gray": {"control": {"of": "mse", "match": "gray"}},
    "mse_gain": {"control": {"of": "mse", "match": "anti_average"}},
    "mse_gain_truth": {"control": {"of": "mse", "match": "truth"}},
}  # fmt: skip
CLAIMS = (
    ("mse_averages", "Plain MSE averages: nearer the conditional mean than any mode", "confirmed", 0.88, 0.85, 0.9,
     "averaging_index", "mse", "confirmed", "0.88 is above 0.5."),
    ("saturation_term", "The saturation term raises saturation over MSE", "refuted", 0.05, -0.1, 0.2, "chroma",
     "saturation − mse", "refuted", "The change lies within the margin of ±0.5."),
    ("confidence_term", "The confidence term lowers the chroma shortfall over MSE", "confirmed", 0.81, 0.52, 1.1,
     "chroma", "confidence − mse", "confirmed", ""),
    ("no_casts", "The full loss removes sepia and purple casts", "undecided", -0.004, -0.03, 0.02, "cast_share",
     "anti_average − mse", "open", "The interval holds zero and reaches beyond the margin."),
    ("lpips_keeps", "Adding 0.3 LPIPS keeps the vividness", "not testable", math.nan, math.nan, math.nan, "lpips",
     "anti_average_lpips − anti_average", "", "LPIPS was not measured in this study."),
)  # fmt: skip
SENTENCE = (
    "Use saturation 3.12, confidence 12.4, diversity 0: on this data it restores 99 % of the chroma for 12 % more "
    "ab-RMSE, and hue diversity falls from 0.38 to 0.35 where the truth has 0.43."
)


def build_everything(folder: Path, arms: tuple = MANY, seeds: int = 3, images: int = 24, **options: Any) -> Path:
    """results/<study>/ with every table, a search and histograms of colour."""
    results = build_results(folder, arms=arms, seeds=seeds, images=images, **options)
    add_evidence(results)
    return results


def add_evidence(results: Path) -> None:
    """Write what the basic results lack, from what they have."""
    generator = np.random.default_rng(3)
    tables, study = results / "tables", results.name
    facts = json.loads((tables / "study.json").read_text())
    for arm in facts["arms"]:
        arm.update(EXTRAS.get(arm["name"], {}))
    (tables / "study.json").write_text(json.dumps(facts))
    names = [arm["name"] for arm in facts["arms"]]
    _write(tables / "claims.csv", study, [
        {"id": c[0], "says": c[1], "verdict": c[2], "estimate": c[3], "low": c[4], "high": c[5],
         "p_holm": 0.25 if c[3] == c[3] else math.nan, "p": 0.0625 if c[3] == c[3] else math.nan, "p_min": 0.0625,
         "p_t_holm": 0.0123 if c[3] == c[3] else math.nan,
         "metric": c[6], "comparison": c[7], "unit": "1", "predicted": c[8], "why": c[9], "number": f"{i + 1}a",
         "by": "study" if i == len(CLAIMS) - 1 else "loss", "margin": 0.5}
        for i, c in enumerate(CLAIMS)
    ])  # fmt: skip
    _theory(tables, study, facts, generator)
    _training(tables, study, facts, generator)
    _factorial(tables, study, generator)
    arms = pd.read_csv(tables / "arms.csv", dtype={"arm": str}, keep_default_na=False, na_values={"mean": [""]})
    rows = []
    for row in arms.itertuples():
        values = row.mean + generator.normal(0, 0.01 * abs(row.mean) + 1e-3, int(row.seeds))
        rows += [{"arm": row.arm, "metric": row.metric, "seed": k, "value": v} for k, v in enumerate(values)]
    _write(tables / "seeds.csv", study, rows)
    _against_gain(tables, names)
    _lengths(tables, study, arms, generator)
    _search(results / "search", generator)
    _usage(results / "predictions", names, generator)


def _against_gain(tables: Path, names: list[str]) -> None:
    """Tuned arms beside the gain that they have to beat: equivalent on everything but the chroma ratio."""
    if not {"mse_gain_truth", "anti_average_tuned"} <= set(names):
        return
    paired = pd.read_csv(tables / "paired.csv", dtype={"arm": str, "baseline": str}, keep_default_na=False)
    rows = paired[paired["arm"] == "anti_average_tuned"].assign(baseline="mse_gain_truth", verdict="equivalent")
    rows.loc[rows["metric"] == "chroma_ratio", "verdict"] = "worse"
    pd.concat([paired, rows]).to_csv(tables / "paired.csv", index=False)


def _write(path: Path, study: str, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    if "study" not in table:
        table.insert(0, "study", study)
    table.to_csv(path, index=False, float_format="%.8g")


def _theory(tables: Path, study: str, facts: dict[str, Any], generator: np.random.Generator) -> None:
    kinds = pd.read_csv(tables / "kinds.csv", dtype={"arm": str}, keep_default_na=False)
    laws = {law["kind"]: law for law in (facts["law"] or {}).get("kinds", [])}
    known = {arm["name"] for arm in facts["arms"] if arm["loss"] in ("mse", "anti_average")}
    rows = []
    for (arm, kind), part in kinds.groupby(["arm", "kind"], sort=False):
        values = {row.metric: float(row.mean) for row in part.itertuples()}
        theory = arm in known and arm != "diversity"
        shift = generator.normal(0, 2.5, 2) if theory else (math.nan, math.nan)
        predicted = (values["a_mean"] + shift[0], values["b_mean"] + shift[1])
        distance = math.hypot(*shift)
        rows.append(
            {"arm": arm, "kind": kind, "predicted_a": predicted[0], "predicted_b": predicted[1],
             "predicted_chroma": math.hypot(*predicted), "a": values["a_mean"], "b": values["b_mean"],
             "chroma": values["chroma"], "chroma_low": values["chroma"] - 1, "chroma_high": values["chroma"] + 1,
             "true_chroma": laws[kind]["mean_chroma"], "distance": distance,
             "explained": ("yes" if distance < 3 else "no") if theory else "no theory",
             "predicted_change": 0.8 if theory else math.nan, "change": 0.9, "note": "" if theory else "bins",
             "mse_explains": "no" if theory else ""}
        )  # fmt: skip
    if rows:
        _write(tables / "theory.csv", study, rows)


def _training(tables: Path, study: str, facts: dict[str, Any], generator: np.random.Generator) -> None:
    curves = pd.read_csv(tables / "curves.csv", dtype={"arm": str}, keep_default_na=False)
    ledger, extra, convergence = [], [], []
    for arm in facts["arms"]:
        own = curves[(curves["arm"] == arm["name"]) & (curves["split"] == "val")]
        if arm.get("control") or own.empty:
            continue
        terms = arm["weights"] or {"lab": 1.0}
        images = sorted(own["images"].unique())
        norms = {}
        for term, weight in terms.items():
            size = {"lab": 10.0, "saturation": 6.0 * weight, "diversity": 0.002 * weight, "confidence": 1.5 * weight}
            norms[term] = [size.get(term, 5.0) * (0.6 + 0.4 * math.exp(-k / 4)) * generator.uniform(0.95, 1.05)
                           for k in range(len(images))]  # fmt: skip
        total = np.sum(list(norms.values()), axis=0)
        for term, values in norms.items():
            parts = np.array(values) / total
            ledger.append({"arm": arm["name"], "term": term, "weight": terms[term], "first": parts[0],
                           "last": parts[-1], "mean": parts.mean(), "seeds": 3})  # fmt: skip
            extra += [
                {"study": study, "arm": arm["name"], "split": "val", "name": f"gradient_{term}", "step": k + 1,
                 "images": length, "mean": value, "low": value, "high": value, "seeds": 3}
                for k, (length, value) in enumerate(zip(images, values, strict=True))
            ]  # fmt: skip
        for metric, margin, change in (("ab_rmse", 0.2, -0.05), ("chroma_ratio", 0.02, 0.03)):
            moves = change * generator.uniform(0.2, 2)
            flat = "yes" if abs(moves) < margin * 0.8 else "no" if abs(moves) > margin * 1.2 else "undecided"
            convergence.append(
                {"arm": arm["name"], "metric": metric, "end": 12.0, "change": moves, "low": moves - margin / 5,
                 "high": moves + margin / 5, "margin": margin, "flattened": flat, "seeds": 3}
            )  # fmt: skip
    if ledger:
        pd.concat([curves, pd.DataFrame(extra)]).to_csv(tables / "curves.csv", index=False, float_format="%.8g")
        _write(tables / "ledger.csv", study, ledger)
        _write(tables / "convergence.csv", study, convergence)


def _factorial(tables: Path, study: str, generator: np.random.Generator) -> None:
    terms, rows = ("saturation", "diversity", "confidence"), []
    effects = [" x ".join(chosen) for size in (1, 2, 3) for chosen in combinations(terms, size)]
    effects += [f"shapley {term}" for term in terms] + ["all three"]
    shares = {"saturation": 0.55, "diversity": 0.05, "confidence": 0.4}
    for metric in ("ab_rmse", "chroma_ratio", "hue_diversity"):
        for effect in effects:
            value = generator.normal(0.1, 0.1)
            rows.append({"metric": metric, "effect": effect, "estimate": value, "low": value - 0.05,
                         "high": value + 0.05, "shapley": shares.get(effect.removeprefix("shapley "), math.nan),
                         "seeds": 3})  # fmt: skip
    _write(tables / "factorial.csv", study, rows)


def _lengths(tables: Path, study: str, arms: pd.DataFrame, generator: np.random.Generator) -> None:
    rows = []
    for metric in ("ab_rmse", "chroma_ratio"):
        part = arms[arms["metric"] == metric].head(9)
        for name, images, factor in (
            (f"{study}_half", 7680, 1.1),
            (study, 15360, 1.0),
            (f"{study}_double", 30720, 0.9),
        ):
            means = part["mean"].astype(float) * factor * generator.uniform(0.97, 1.03, len(part))
            worth = (means - 1).abs() if metric == "chroma_ratio" else means
            for arm, mean, rank in zip(part["arm"], means, worth.rank(method="min"), strict=True):
                rows.append({"study": name, "arm": arm, "metric": metric, "images": images, "mean": mean,
                             "low": mean * 0.98, "high": mean * 1.02, "rank": rank})  # fmt: skip
    if rows:
        _write(tables / "lengths.csv", study, rows)


def _search(folder: Path, generator: np.random.Generator) -> None:
    rows, families, best = [], {}, {}
    for family, most in (("anti_average", 3), ("zhang", 2), ("mse", 1)):
        for trial in range(24):
            strength = generator.uniform(0, 1)
            row = {"family": family, "trial": trial, "state": "complete"}
            if family == "anti_average":
                row |= {"w_saturation": 0 if trial % 7 == 0 else 10 ** (4 * strength - 3)}
                row |= {"w_diversity": 10 ** generator.uniform(-2, 4), "w_confidence": 10 ** (3 * strength - 1)}
            elif family == "zhang":
                row |= {"o_rebalance": ("none", "0.5", "0.9")[trial % 3], "d_temperature": 0.1 + 0.9 * (1 - strength)}
            else:
                row |= {"t_learning_rate": 10 ** generator.uniform(-3.5, -1.5)}
            gain = strength * most / 3
            row |= {"fidelity": 11.5 + 3 * gain**2 + generator.uniform(0, 0.4),
                    "vividness": abs(0.5 - 0.55 * gain) + generator.uniform(0, 0.05),
                    "diversity": 0.2 - 0.1 * gain * (family == "zhang") + generator.uniform(0, 0.03)}  # fmt: skip
            if trial == 5:
                row |= {"state": "diverged", "fidelity": math.nan, "vividness": math.nan, "diversity": math.nan}
            row |= {"ab_rmse": row["fidelity"], "chroma_ratio": 1 - row["vividness"], "colorfulness": 30.0,
                    "hue_diversity": 0.4, "seeds": 1 + trial % 2, "stopped": "dominated" if trial % 4 == 1 else "",
                    "enqueued": "published" if trial == 0 else ""}  # fmt: skip
            rows.append(row)
    trials = pd.DataFrame(rows)
    values = trials[["fidelity", "vividness", "diversity"]].to_numpy()
    for family, part in trials.groupby("family", sort=False):
        own = values[part.index]
        front = [not (((own <= one).all(1)) & ((own < one).any(1))).any() and not np.isnan(one).any() for one in own]
        trials.loc[part.index, "front"] = ["yes" if is_in else "no" for is_in in front]
        names = [name for name in part if name[:2] in ("w_", "o_", "d_", "t_") and part[name].notna().any()]
        weights = generator.dirichlet(np.ones(len(names)), 3)
        families[family] = {
            "candidates": len(part), "hypervolume": (1 - np.exp(-np.arange(1, 25) / 8) * 0.6).round(4).tolist(),
            "importance": {o: dict(zip(names, w.tolist(), strict=True))
                           for o, w in zip(("fidelity", "vividness", "diversity"), weights, strict=True)},
        }  # fmt: skip
        settings = {"weights": {"lab": 1.0}, "options": {}, "decode": {}, "train": {"learning_rate": 0.0041}}
        if family == "anti_average":
            settings["weights"] |= {"saturation": 3.12, "diversity": 0.0, "confidence": 12.4}
        if family == "zhang":
            settings |= {"options": {"rebalance": 0.7}, "decode": {"temperature": 0.22}}
        best[family] = {choice: {"trial": place, **settings} for place, choice in enumerate(("recommended", "knee"))}
    folder.mkdir(parents=True, exist_ok=True)
    trials.to_csv(folder / "trials.csv", index=False, float_format="%.8g")
    finalists = []
    for family in families:
        for trial, choice in enumerate(("recommended", "knee")):
            for metric in ("fidelity", "vividness", "diversity", "ab_rmse", "chroma_ratio"):
                tuned = float(generator.uniform(0.3, 1.2))
                finalists.append(
                    {"family": family, "choice": choice, "trial": trial, "metric": metric, "tuned": tuned,
                     "honest": tuned * 1.02, "low": tuned, "high": tuned * 1.05, "seeds": 2}
                )  # fmt: skip
    finalists += [row | {"choice": "vivid"} for row in finalists if row["choice"] == "knee"]  # one candidate, two names
    pd.DataFrame(finalists).to_csv(folder / "finalists.csv", index=False, float_format="%.8g")
    says = "every family: 24 candidates of at most 2 seeds and 7,680 training pictures"
    content = {
        "budget": {"says": says, "seeds": 2},
        "training_seconds": 321.4,
        "families": families,
        "sentence": SENTENCE,
    }
    (folder / "search.json").write_text(json.dumps(content))
    (folder / "best.yaml").write_text(yaml.safe_dump({"families": best}, sort_keys=False))


def _usage(folder: Path, names: list[str], generator: np.random.Generator) -> None:
    """Histograms of colours: the truth has four clouds, an arm the same ones drawn towards gray and together."""
    middles = np.linspace(-110, 110, 45)[:-1] + 2.5
    a, b = np.meshgrid(middles, middles, indexing="ij")
    clouds = ((-40, 45), (-8, -40), (55, 40), (3, 2))

    def histogram(pull: float) -> dict[str, np.ndarray]:
        mean = np.mean(clouds, axis=0)
        spots = [pull * np.array(cloud) + (1 - pull) * 0.6 * mean for cloud in clouds]
        density = sum(np.exp(-((a - x) ** 2 + (b - y) ** 2) / 2 / (6 + 6 * pull) ** 2) for x, y in spots)
        counts = generator.poisson(density * 4000).astype(float)
        hue = np.histogram(np.degrees(np.arctan2(b, a)), 36, (-180, 180), weights=counts * np.hypot(a, b))[0]
        chroma = np.histogram(np.hypot(a, b), 60, (0, 150), weights=counts)[0]
        return {"histogram_ab": counts, "histogram_hue": hue / hue.sum(), "histogram_chroma": chroma}

    truth = {f"true_{key}": value for key, value in histogram(1.0).items()}
    for place, name in enumerate(names):
        path = folder / f"{name}.npz"
        if path.is_file():
            with np.load(path) as archive:
                content = dict(archive)
            grid = {"grid": np.arange(min(6, len(content["names"])))}
            np.savez_compressed(path, **content, **truth, **histogram(0.2 + 0.7 * (place % 5) / 4), **grid)


if __name__ == "__main__":
    import sys

    from study.report import write_index, write_report

    target = Path(sys.argv[1])
    made = build_everything(target / "results", images=40, seeds=3)
    print(write_report(made, target / "reports" / made.name))
    small = build_results(target / "results", study="made_up_photos", kinds=None, pictures="showcase", size=96)
    print(write_report(small, target / "reports" / small.name))
    write_index(target / "reports")
