"""What was done and what to doubt, in sentences made from the facts of a study; provenance as pairs."""

from __future__ import annotations

import math
from typing import Any

from study.report.answer import Code
from study.report.result import Arm, StudyResult
from study.report.style import amount, count, duration, listed, number, plural

SOURCES = {
    "palette_world": "generated scenes whose colours are drawn from known palettes, independently of lightness",
    "tiny_imagenet": "Tiny ImageNet photographs",
    "folder": "pictures of a folder",
}


def in_short(result: StudyResult) -> list[str]:
    """The size of the study in a few words each, for the line under the title."""
    data = result.facts.get("data") or {}
    counts = data.get("counts") or {}
    said = [plural(len(result.arms), "arm"), plural(len(result.seeds), "seed")]
    if "train" in counts:
        said.append(f"{count(float(counts['train']))} training images")
    if "test" in counts:
        said.append(f"{count(float(counts['test']))} test images")
    if data.get("size"):
        said.append(f"{data['size']} × {data['size']} pixels")
    return said


def how(result: StudyResult) -> list[tuple[str, ...]]:
    """Paragraphs on the design and the statistics; each is a tuple of text and Code."""
    data, many = result.facts.get("data") or {}, len(result.seeds)
    source = SOURCES.get(data.get("source"), data.get("source"))
    paragraphs: list[tuple[str, ...]] = [
        (
            "Every arm trains the same network on the same data"
            + (f" ({source})" if source else "")
            + ". A seed gives every arm the same initial weights, data order and crops, so arms are compared in pairs, "
            "seed by seed; only the loss differs (and, for classification, the last layer and how bins become a colour). "
            "Lightness is passed through, and every score is computed on test images that no arm was trained on.",
        ),
        (
            "An estimate is the mean over test images and seeds. Its 95 % interval resamples both, seeds and images, because the "
            "images of one trained network are no replicates of the training. A difference is arm minus ",
            Code(result.baseline),
            ", paired by seed and image. The verdict ‘equivalent’ needs the whole interval inside the metric’s declared "
            "margin (the shaded band in the figures); ‘better’ and ‘worse’ need an interval without zero; everything else "
            "is ‘undecided’, which is not the same as ‘no difference’.",
        ),
    ]
    if not math.isnan(result.p_min):
        paragraphs.append(
            (
                f"The p-values are two-sided and come from the {plural(many, 'paired seed')}; p_holm is corrected for the number "
                f"of comparisons by Holm’s method. The smallest p that {plural(many, 'seed')} can give is {amount(result.p_min)}"
                + (", so no p here can fall below 0.05, whatever the effect." if result.p_min > 0.05 else "."),
            )
        )
    return paragraphs


def threats(result: StudyResult) -> list[tuple[str, str]]:
    """What could make the answer wrong: a short title and the reason, from the facts of this study."""
    facts, found = result.facts, []
    many, training, data = len(result.seeds), facts.get("training") or {}, facts.get("data") or {}
    if many == 1:
        found.append(
            ("One seed", "The luck of one training run is inside every difference; no interval here covers it.")
        )
    elif many < 6:
        found.append(
            (
                "Few seeds",
                f"{plural(many, 'seed')} give a rough idea of the spread between runs; intervals from so few are themselves uncertain.",
            )
        )
    if training.get("images"):
        passes = float(training["images"]) / float((data.get("counts") or {}).get("train") or math.nan)
        often = "" if math.isnan(passes) else f", {amount(passes, 2)} passes over the training set"
        found.append(
            (
                "Short training",
                f"Each cell saw {count(float(training['images']))} images{often}. Losses that learn slowly are judged early; look at "
                "whether the curves are still moving before carrying an ordering over to long training.",
            )
        )
    if data.get("source") == "palette_world":
        found.append(
            (
                "A made world",
                "Its textures and palettes are generated so that the right answer is known. Sizes of effects need not carry over to "
                "photographs; what a loss asks for does.",
            )
        )
    if data.get("size"):
        found.append(
            (
                "Small pictures",
                f"{data['size']} × {data['size']} pixels: colour that needs wide context is out of reach.",
            )
        )
    found.append(
        (
            "Settings shared by all arms",
            "Learning rate, schedule and network were not tuned for each loss; a loss that needs other settings is at a disadvantage.",
        )
    )
    if result.unmeasured:
        reason = (facts.get("lpips") or {}).get("reason")
        told = f" ({reason})" if reason and any(name.startswith("lpips") for name in result.unmeasured) else ""
        found.append(
            ("Not measured", f"{listed(result.unmeasured)}{told}: the report is silent on what it would have shown.")
        )
    if result.status.get("diverged"):
        found.append(
            (
                "Diverged cells are left out",
                "The scores of an arm with diverged cells come from the seeds that survived, which flatters it.",
            )
        )
    skipped = data.get("skipped")
    if skipped:
        found.append(("Skipped pictures", f"{count(float(skipped))} files could not be used and were left out."))
    if result.pictures:
        found.append(("Pictures", "They come from the first seed only and illustrate; the tables decide."))
    return found


def arm_loss(arm: Arm) -> str:
    """Loss, weights, options and decoding of an arm in one line."""
    parts = [arm.loss]
    if arm.weights:
        parts.append(", ".join(f"{term} {value:g}" for term, value in arm.weights.items()))
    parts += [f"{name} = {value}" for name, value in arm.options.items()]
    if arm.loss == "classification":
        parts += [f"decode {name} = {value}" for name, value in arm.decode.items()]
    return "; ".join(parts)


def settings(result: StudyResult) -> list[tuple[str, str]]:
    """Training and data settings as pairs of name and value, nested names joined by dots."""
    return _flat("training", result.facts.get("training") or {}) + _flat("data", result.facts.get("data") or {})


def provenance(result: StudyResult) -> list[tuple[str, str]]:
    """Where the numbers come from as pairs of name and value, without the commands."""
    facts = dict(result.facts.get("provenance") or {})
    facts.pop("commands", None)
    if "train_seconds" in facts:
        facts["train_seconds"] = duration(float(facts["train_seconds"]))
    return _flat("", facts)


def commands(result: StudyResult) -> list[str]:
    """The commands that make this study from nothing."""
    return [str(line) for line in (result.facts.get("provenance") or {}).get("commands", [])]


def law_sentence(result: StudyResult) -> str | None:
    """What is known exactly about the data; None when nothing is."""
    law = result.facts.get("law")
    if not law:
        return None
    return (
        "The colours of this world are known: the smallest mean squared error of a and b that any prediction from the gray "
        f"image can reach is {number(law['reachable_mse'], 1)} (its root is {number(math.sqrt(law['reachable_mse']), 2)} Lab units)."
    )


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            pair for key, inner in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else str(key), inner)
        ]
    if isinstance(value, list):
        return [(prefix, ", ".join(str(item) for item in value))]
    if isinstance(value, float):
        return [(prefix, f"{value:g}")]
    return [(prefix, "–" if value is None else str(value))]
