"""What was done and what to doubt, in sentences made from the facts of a study; provenance as pairs."""

from __future__ import annotations

import math
from typing import Any

from study.report.progress import convergence_sentence
from study.report.result import Arm, StudyResult
from study.report.style import amount, count, duration, listed, number, plural
from study.report.telling import Code

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
    data, seeds = result.facts.get("data") or {}, plural(len(result.seeds), "seed")
    source = SOURCES.get(data.get("source"), data.get("source"))
    of_what = f" ({source})" if source else ""
    paragraphs: list[tuple[str, ...]] = [
        (
            f"Every arm trains the same network on the same data{of_what}. A seed gives every arm the same "
            "initial weights, data order and flips, so arms are compared in pairs, seed by seed; only the loss "
            "differs (and, for classification, the last layer and how bins become a colour). Lightness is "
            "passed through, and every score is computed on test images that no arm was trained on.",
        ),
        *([tuple(said)] if (said := _training(result)) else []),
        (
            "An estimate is the mean over test images and seeds. Its 95\u00a0% interval comes from resampling both, "
            "because the images of one trained network are no replicates of the training; it is stretched to at least "
            "the root of t²V of the seeds plus t²V of the images, V the variance of the mean at that level and t "
            "Student’s quantile for its number. A difference is arm minus ",
            Code(result.baseline),
            ", paired by seed and image. The verdict ‘equivalent’ needs the whole interval inside the metric’s "
            "declared margin (the shaded band in the figures); otherwise ‘better’ and ‘worse’ need an interval "
            "without zero, after Holm’s correction of its level for the number of arms compared on the metric too, "
            "an estimate at least as large as the margin, and more than one seed; everything else is ‘undecided’: not "
            "told from zero, or told from zero but perhaps too small to matter. Where a "
            "metric has a target, better means nearer to it; where it has no better direction, the verdict is "
            "‘higher’ or ‘lower’.",
        ),
    ]
    if not math.isnan(result.p_min):
        never = ": none here can fall below 0.05, whatever the effect." if result.holm_floor > 0.05 else "."
        paragraphs.append(
            (
                "All p-values are two-sided and, where that is said, corrected by Holm for the number of arms compared "
                "on the metric. p (interval) is the level at which the interval would reach zero. p (signs) comes from "
                f"flipping the signs of the differences of {seeds}, exactly, if either sign is as likely; the "
                f"smallest that the design allows is {result.p_min:.3g}, and {result.holm_floor:.3g} after the "
                f"correction{never}",
            )
        )
    return paragraphs


def _training(result: StudyResult) -> list[str]:
    """The network and how it is trained, in a sentence or two; empty where the facts do not say."""
    facts, data = result.facts.get("training") or {}, result.facts.get("data") or {}
    try:
        steps, batch, size = facts["steps"], facts["batch"], data["size"]
        network = f"a U-Net of width {facts['width']} with {facts['levels']} levels ({facts['upsampling']} upsampling)"
        rate = f"{facts['learning_rate']:g}"
    except KeyError:
        return []
    parameters = result.tables["cost"].set_index("arm")["parameters"].get(result.baseline)
    many = f", {count(float(parameters))} parameters with " if parameters else ", "
    said = [f"The network is {network}{many}", Code(result.baseline)] if parameters else [f"The network is {network}"]
    return [
        *said,
        f"; it takes the lightness of {size} × {size} pixels and predicts a and b at half the resolution, which are "
        f"upsampled. It is trained for {count(float(steps))} steps of {batch} pictures, some of them mirrored, with "
        f"AdamW at a learning rate that rises to {rate} and falls to zero along half a cosine.",
    ]


def threats(result: StudyResult) -> list[tuple[str, str]]:
    """What could make the answer wrong: a short title and the reason, from the facts of this study."""
    facts, found = result.facts, []
    many, training, data = len(result.seeds), facts.get("training") or {}, facts.get("data") or {}
    if many == 1:
        text = "The luck of one training run is inside every difference; the intervals cover the choice of images only."
        found.append(("One seed", text))
    elif many < 6:
        text = f"{many} seeds give a rough idea of the spread between runs; intervals from so few are uncertain too."
        found.append(("Few seeds", text))
    if training.get("images"):
        passes = float(training["images"]) / float((data.get("counts") or {}).get("train") or math.nan)
        often = "" if math.isnan(passes) else f", {amount(passes, 2)} passes over the training set"
        text = (
            f"Each cell saw {count(float(training['images']))} images{often}. Losses that learn slowly are "
            "judged early; look at whether the curves are still moving before carrying an ordering over to "
            f"long training. {convergence_sentence(result)}"
        ).rstrip()
        found.append(("Short training", text))
    if data.get("source") == "palette_world":
        text = (
            "Its textures and palettes are generated so that the right answer is known. Sizes of effects need "
            "not carry over to photographs."
        )
        if result.is_foreign("sepia_cast"):
            text += " No average of its colours counts as brown: sepia itself is to be seen on photographs only."
        found.append(("A made world", text))
    if data.get("size"):
        text = (
            f"{data['size']} × {data['size']} pixels: colour that needs finer detail or wider context is out of reach."
        )
        found.append(("Small pictures", text))
    if many > 1:
        text = f"With {plural(many, 'seed')} the intervals lean on luck that is symmetric, or alike in both arms."
        if simulated := facts.get("coverage"):
            alike, unlike = (number(math.ceil(1000 * simulated[luck]) / 10, 1) for luck in ("alike", "unlike"))
            text += (
                " Among simulated studies without any difference a wrong verdict was said somewhere in at most "
                f"{alike}\u00a0% of them where it is, and in up to {unlike}\u00a0% where the arms’ luck is skewed and "
                "the baseline’s is not (benchmarks/coverage.csv)."
            )
        found.append(("Luck of the seeds", text))
    own = [arm.name for arm in result.arms if arm.train]
    but = f" but {listed(own)}, whose learning rate was searched" if own else ""
    text = (
        f"Learning rate, schedule and network are the same for all{but}; a loss that needs others is at a disadvantage."
    )
    found.append(("Settings shared by all arms", text))
    if result.unmeasured:
        they = "it" if len(result.unmeasured) == 1 else "they"
        text = f"{listed(result.unmeasured)}: the report is silent on what {they} would have shown."
        found.append(("Not measured", text))
    if result.status.get("diverged"):
        text = "The scores of an arm with diverged cells come from the seeds that survived, which flatters it."
        found.append(("Diverged cells are left out", text))
    if data.get("seen_in_training"):
        text = (
            f"{count(float(data['seen_in_training']))} of the test pictures are among the training pictures too, pixel "
            "for pixel: what is known by heart counts as if it were seen for the first time."
        )
        found.append(("Pictures seen in training", text))
    if data.get("skipped"):
        text = f"{count(float(data['skipped']))} files could not be used and were left out."
        found.append(("Skipped pictures", text))
    if result.pictures:
        found.append(("Pictures", "They come from one seed of each arm and illustrate; the tables decide."))
    return found


def arm_loss(arm: Arm) -> str:
    """Loss, weights, options and decoding of an arm in one line; of a control, whose networks it uses and how."""
    if arm.control:
        gain = "no colour" if arm.control["match"] == "gray" else f"one gain, fitted to {arm.control['match']}"
        return f"the networks of {arm.control['of']}; {gain}"
    parts = [arm.loss]
    if arm.weights:
        parts.append(", ".join(f"{term} {value:g}" for term, value in arm.weights.items()))
    parts += [f"no {name}" if value is None else f"{name} = {value}" for name, value in arm.options.items()]
    parts += [f"{name.replace('_', ' ')} = {value:g}" for name, value in arm.train.items()]
    if arm.loss == "classification":
        parts += [f"decode {name} = {value}" for name, value in arm.decode.items()]
    return "; ".join(parts)


def settings(result: StudyResult) -> list[tuple[str, str]]:
    """Training and data settings as pairs of name and value, nested names joined by dots."""
    return _flat("training", result.facts.get("training") or {}) + _flat("data", result.facts.get("data") or {})


def provenance(result: StudyResult) -> list[tuple[str, str]]:
    """Where the numbers come from as pairs of name and value, without the commands: code, machine, seeds, data."""
    facts = dict(result.facts.get("provenance") or {})
    facts.pop("commands", None)
    facts["seeds"] = result.seeds
    hashes = (result.facts.get("data") or {}).get("hashes") or {}
    facts |= {f"sha256 of {split}": value for split, value in hashes.items()}
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
    mse, rmse = number(law["reachable_mse"], 1), number(math.sqrt(law["reachable_mse"]), 2)
    return (
        "The colours of this world are known: the smallest mean squared error of a and b that any prediction "
        f"from the gray image can reach is {mse} (its root is {rmse} Lab units)."
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
