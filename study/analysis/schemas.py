"""The tables that `study compare` writes to results/<study>/tables/: their columns, types and words.

The writer and every reader use these schemas. `study.tables` has `write_table` and `read_table`.
"""

from __future__ import annotations

from study.statistics import VERDICTS
from study.tables import Column, Schema

CLAIM_VERDICTS = ("confirmed", "opposite", "negligible", "inconclusive", "not testable")
"""Verdicts of claims. opposite: the effect goes the other way, or what should be the same is not. negligible: the
direction is right, but the effect is surely within the margin. not testable: the study lacks an arm or a measurement.
"""

STUDY_KEYS = (
    "study", "title", "baseline", "seeds", "arms", "model", "training", "data", "color_distribution", "lpips",
    "pictures", "bootstrap", "coverage", "threats", "provenance", "timing",
)  # fmt: skip
"""The keys of study.json, the study's metadata (`study.analysis.metadata` explains each)."""


def _text(name: str, says: str, words: tuple[str, ...] = ()) -> Column:
    return Column(name, "text", says, words)


def _number(name: str, says: str) -> Column:
    return Column(name, "number", says)


def _whole(name: str, says: str) -> Column:
    return Column(name, "integer", says)


def _yes_no(name: str, says: str) -> Column:
    return Column(name, "yes/no", says)


def _schema(name: str, says: str, *columns: Column) -> Schema:
    return Schema(name, says, columns, "study compare")


STUDY = _text("study", "name of the study in params.yaml")
ARM = _text("arm", "name of the arm, a file ablations/<arm>.yaml")
METRIC = _text("metric", "name of the metric, a row of metrics.csv")
REGION = _text("region", "kind of region, such as sky")
MEAN = _number("mean", "mean over seeds and test pictures")
LOW = _number("low", "lower end of the 95 % interval")
HIGH = _number("high", "upper end of the 95 % interval")
SEEDS = _whole("seeds", "number of seeds")
SEED_SHARE = _number("seed_share", "share of the mean's variance that seeds bring, 0..1")
IMAGE_SHARE = _number("image_share", "share of the mean's variance that test pictures bring, 0..1")
HALF = "the verdict if the margin were half as wide"
DOUBLE = "the verdict if the margin were twice as wide"

ARMS = _schema(
    "arms", "Every arm's mean of every metric",
    STUDY, ARM, METRIC, MEAN, LOW, HIGH, SEEDS,
    _number("sd", "standard deviation of the seeds' means; empty with one seed"),
    _number("iqm", "interquartile mean of all scores; empty where a single picture's score means nothing"),
    SEED_SHARE, IMAGE_SHARE,
)  # fmt: skip

PAIRED = _schema(
    "paired", "Paired differences: every arm to the baseline, tuned arms also to the gain that they have to beat",
    STUDY, ARM, _text("baseline", "the arm that is subtracted"), METRIC,
    _number("delta", "mean of arm minus baseline on the same seeds and pictures"), LOW, HIGH,
    _number("p", "exact p of the sign-flip test over seeds"),
    _number("p_holm", "the same, corrected by Holm over the arms of this metric"),
    _number("p_min", "smallest p that this number of seeds allows"),
    _text("verdict", "what the difference means", VERDICTS),
    _text("verdict_half_margin", HALF, VERDICTS), _text("verdict_double_margin", DOUBLE, VERDICTS), SEEDS,
    _number("effect", "mean of the seeds' differences over their standard deviation"),
    _number("improved", "share of seed and picture pairs on which the arm is better, 0..1"),
    _number("detectable", "smallest true difference that this design finds with a power of 0.8"),
    _number("seeds_needed", "seeds that would decide an inconclusive verdict; inf: more than 100; else empty"),
    SEED_SHARE, IMAGE_SHARE,
    _number("p_t", "p of the two-level interval"),
    _number("p_t_holm", "the same, corrected by Holm over the arms of this metric; the verdict uses it"),
)  # fmt: skip

SEED_MEANS = _schema(
    "seeds", "Every training run's mean of every metric",
    STUDY, ARM, METRIC, _whole("seed", "the seed"), _number("value", "mean over the test pictures"),
)  # fmt: skip

REGIONS = _schema(
    "regions", "Means per kind of region, where the data set has such kinds; interval over seeds alone",
    STUDY, ARM, REGION, METRIC, MEAN, LOW, HIGH, SEEDS,
)  # fmt: skip

CURVES = _schema(
    "curves", "Training curves, averaged over seeds",
    STUDY, ARM, _text("split", "which pictures", ("train", "val")),
    _text("name", "a loss term, a metric, or gradient_<term>"),
    _whole("step", "training steps so far"), _whole("images", "training pictures seen so far"), MEAN,
    _number("low", "smallest over seeds"), _number("high", "largest over seeds"), SEEDS,
)  # fmt: skip

CELLS = _schema(
    "cells", "The state of every declared training run",
    STUDY, ARM, _whole("seed", "the seed"),
    _text("status", "its state", ("finished", "diverged", "missing", "outdated")),
    _text("detail", "what is wrong with it; empty when it is finished"),
    _text("signature", "hash of all that it depends on"),
    _number("steps", "training steps"), _number("seconds", "wall-clock seconds of training"),
    _number("images_per_s", "training pictures a second"), _text("command", "the command that makes it"),
)  # fmt: skip

COST = _schema(
    "cost", "What training costs under every loss; references are not trained and have no row",
    STUDY, ARM, _whole("parameters", "parameters of the network"),
    _number("step_ms", "milliseconds of a training step, median"),
    _number("images_per_s", "training pictures a second, from step_ms"),
    _number("peak_memory_mb", "peak memory in MB, median over seeds"),
    _number("step_ratio", "time of a step over the baseline's, median over rounds that take turns"),
    _number("step_low", "its lower quartile"), _number("step_high", "its upper quartile"),
    _number("memory_ratio", "peak memory over the baseline's"),
)  # fmt: skip

CLAIMS = _schema(
    "claims", "The claims of ablations/claims.yaml and how they fare",
    STUDY, _text("id", "name of the claim"), _text("says", "the claim in words"),
    _text("verdict", "how it fares", CLAIM_VERDICTS),
    _number("estimate", "what was measured, in `unit`"), LOW, HIGH,
    _number("p_holm", "sign-flip p, corrected by Holm over all claims"),
    _number("p", "exact p of the sign-flip test over seeds"),
    _number("p_min", "smallest p that this number of seeds allows"),
    _text("metric", "what was measured"), _text("comparison", "of which arms"), _text("unit", "unit of the estimate"),
    _text("predicted", "the verdict that was expected; refuted means opposite or negligible",
          ("confirmed", "refuted", "open")),
    _text("why", "why this verdict, and what of the claim was amended"), _text("number", "number in claims.yaml"),
    _number("p_t", "p of the two-level interval at the border of the claim"),
    _number("p_t_holm", "the same, corrected by Holm over all claims that something differs; the verdict uses it"),
    _text("by", "who says it: those who publish the loss, or this study", ("loss", "study")),
    _number("margin", "what is too little to matter; empty where the claim has limits of its own"),
    _text("as_predicted", "whether the verdict is the expected one; empty when nothing was expected or found",
          ("yes", "no", "")),
    _text("verdict_half_margin", HALF, CLAIM_VERDICTS), _text("verdict_double_margin", DOUBLE, CLAIM_VERDICTS),
)  # fmt: skip

THEORY = _schema(
    "theory", "The colour that each loss asks for, beside the colour painted, per kind of region",
    STUDY, ARM, REGION, _number("predicted_a", "a of the optimal colour"), _number("predicted_b", "b of it"),
    _number("predicted_chroma", "chroma of it"), _number("a", "a of the mean colour painted"), _number("b", "b of it"),
    _number("chroma", "mean chroma painted"), _number("chroma_low", "lower end of its 95 % interval"),
    _number("chroma_high", "upper end of it"), _number("true_chroma", "mean chroma of the truth"),
    _number("distance", "Lab distance of the optimal colour to the mean colour painted"),
    _text("explained", "whether the optimum explains what was painted", ("yes", "no", "no theory")),
    _number("predicted_change", "optimal chroma minus that of plain squared error"),
    _number("change", "chroma painted minus that of plain squared error"),
    _text("note", "limits of the prediction"),
    _yes_no("mse_explains", "whether the optimum of plain squared error would explain it, too"),
)  # fmt: skip

GRADIENTS = _schema(
    "gradients", "The share of each loss term in the gradient",
    STUDY, ARM, _text("term", "loss term"), _number("weight", "its weight; empty: the loss's own"),
    _number("first", "share at the first validation, 0..1"), _number("last", "share at the last one"),
    _number("mean", "mean share over all validations"), SEEDS,
)  # fmt: skip

FACTORIAL = _schema(
    "factorial", "Effects of three loss terms, where eight arms switch each of them on and off",
    STUDY, METRIC, _text("effect", "a term, an interaction, a Shapley value, or all three"),
    _number("estimate", "the effect in the metric's unit"), LOW, HIGH,
    _number("shapley", "share of the whole effect, where the whole is surely not 0"), SEEDS,
)  # fmt: skip

CONVERGENCE = _schema(
    "convergence", "How much validation metrics still changed in the last quarter of training",
    STUDY, ARM, METRIC, _number("end", "value at the end"), _number("change", "change over the last quarter"), LOW,
    HIGH, _number("margin", "what is too little to matter"),
    _text("flattened", "whether the change is within the margin", ("yes", "no", "inconclusive")), SEEDS,
)  # fmt: skip

LENGTHS = _schema(
    "lengths", "Means and ranks in studies that differ in the length of training alone",
    STUDY, ARM, METRIC, _whole("images", "training pictures"), MEAN, LOW, HIGH,
    _number("rank", "rank among the arms that all lengths have, 1 the best; empty without a better direction"),
)  # fmt: skip

LIMITS = _schema(
    "limits", "Every network beside the least error at its own amount, and spread, of colour; all test pixels pooled",
    STUDY, ARM, _whole("seed", "the seed; the exact law of a generated world has the same row for each"),
    _number("error", "squared error per channel, Lab^2"), _number("chroma", "mean chroma, Lab units"),
    _number("ab_distance", "2-Wasserstein distance of all predicted to all true colours, Lab units"),
    _number("least_error_at_chroma", "least squared error per channel at this mean chroma"),
    _number("least_error_at_distance", "least squared error per channel at this distance"),
    _number("excess_at_chroma", "sqrt(error / least_error_at_chroma) - 1"),
    _number("excess_at_distance", "sqrt(error / least_error_at_distance) - 1"),
    _number("ab_distance_blocks", "the distance of colours averaged over blocks of 4x4 pixels"),
    _number("floor", "the distance of the truth to itself: one half of the test pictures to the other"),
    _number("region_spread", "root mean squared spread of the predicted colours of a kind of region in one picture"),
)  # fmt: skip

LIMITS_ARMS = _schema(
    "limits_arms", "Every arm's distance to the limits, its differences to the baseline and to a gain, and the prices",
    STUDY, ARM,
    _text("measure", "a column of limits.csv; error_against_gain: sqrt(error / that of the rescaled baseline, scaled "
          "to the same chroma) - 1; distance_against_gain: ab_distance minus the least that scaling reaches at no more "
          "error, Lab units; price_of_chroma, price_of_distance: excess error that the truth's chroma, and its "
          "distribution of colours, cost at least"),
    _text("against", "what is subtracted: the baseline, or the gain; empty: nothing"),
    _number("mean", "mean over seeds"), LOW, HIGH, _number("seeds", "number of seeds; empty: exact"),
    _number("p_t", "p of the two-level interval"),
    _number("p_t_holm", "the same, corrected by Holm over the arms of this measure; the verdict uses it"),
    _text("verdict", "what the difference means; empty without one", (*VERDICTS, "")),
    _text("verdict_half_margin", HALF, (*VERDICTS, "")), _text("verdict_double_margin", DOUBLE, (*VERDICTS, "")),
)  # fmt: skip

LIMIT_CURVES = _schema(
    "limit_curves", "The limits, and what a gain, a lift or a transport make of the baseline; means over seeds",
    STUDY, _text("curve", "which curve; _exact: from the known law of a generated world"),
    _number("parameter", "gain, lift in Lab units, strength of the transport, share of the way, or chroma"),
    _number("chroma", "mean chroma; empty where the limit does not say"),
    _number("ab_distance", "distance of the colours; empty where the limit does not say"),
    _number("error", "squared error per channel"),
)  # fmt: skip

CALIBRATION = _schema(
    "calibration", "How much every network knows",
    STUDY, ARM, _whole("seed", "the seed"),
    _number("share_removed", "share of gray's pooled squared error that is removed"),
    _number("gain", "the gain on all colours that minimises the test error, 1 is calibrated; empty for gray"),
)  # fmt: skip

METRICS = _schema(
    "metrics", "What every metric declares about itself",
    METRIC, _text("unit", "unit, 1 for pure numbers"), _number("low", "smallest possible value"),
    _number("high", "largest possible value"),
    _text("better", "which way is better; empty: neither", ("higher", "lower", "target", "")),
    _number("target", "the value aimed at, where there is one"),
    _number("margin", "half-width of the range within which a difference does not matter"),
    _text("says", "what it is"), _text("weakness", "how it can mislead"),
    _number("key", "place among the metrics that a report shows first, 1 the very first; empty: not among them"),
)  # fmt: skip

TABLES = {
    schema.name: schema
    for schema in (ARMS, PAIRED, SEED_MEANS, REGIONS, CURVES, CELLS, COST, CLAIMS, THEORY, GRADIENTS, FACTORIAL,
                   CONVERGENCE, LENGTHS, LIMITS, LIMITS_ARMS, LIMIT_CURVES, CALIBRATION, METRICS)
}  # fmt: skip
"""File name without .csv -> schema. All of them must be there; the explaining ones may have no rows."""


def as_predicted(predicted: str, verdict: str) -> str:
    """Whether a claim's verdict is the expected one: "yes", "no", or "" when nothing was expected or found.

    "refuted" expects either of opposite and negligible.
    """
    if predicted == "open" or verdict in ("inconclusive", "not testable"):
        return ""
    return "yes" if (predicted == "confirmed") == (verdict == "confirmed") else "no"
