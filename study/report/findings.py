"""What a study found, as values: which arm for what, at which cost, and what to doubt. No words, no markup."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from study.report.result import AMOUNT, COMMITMENT, ERROR, SEPIA, Comparison, StudyResult

FIDELITY = (ERROR, "ciede2000")
PILOT = 0.2
"""A baseline that removes a smaller share of gray's pooled squared error knows next to nothing."""
MOST_ROWS = 7
CLOSE = 0.1
"""A verdict is close when moving its interval by this share of its half-width would change it."""


@dataclass(frozen=True)
class Candidate:
    """One arm as the answer sees it; numbers are NaN where nothing was measured.

    chroma: share of the truth's; gap: its distance to the truth's; excess: share by which its error exceeds the
    baseline's; verdicts: metric -> verdict against the baseline.
    """

    arm: str
    reference: bool
    chroma: float
    gap: float
    error: float
    excess: float
    verdicts: dict[str, str]
    step_ratio: float
    memory_ratio: float
    commitment: float
    sepia: float


@dataclass(frozen=True)
class Rival:
    """The reference that comes nearest to the truth's chroma, beside the recommended arm.

    of: the arm whose colours it changes; by: how, "gain", "lift" or "transport". error: "smaller", "larger" or "same",
    the reference's error beside the recommended arm's.
    """

    candidate: Candidate
    of: str
    by: str
    restores: bool
    error: str

    @property
    def does_as_well(self) -> bool:
        """Whether it restores the chroma at no more error than the recommended arm."""
        return self.restores and self.error != "larger"


@dataclass(frozen=True)
class CloseCall:
    """A verdict that a small shift of its interval would change."""

    arm: str
    metric: str
    verdict: str


@dataclass(frozen=True)
class Threat:
    """Something that could make the answer wrong: its kind and the values that its sentence needs."""

    kind: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """The answer of a study.

    outcome: "unmeasured" (no amount of colour), "none" (no trained arm restores the truth's chroma), "free" (one does
    without more error or sepia) or "priced". closest and most_faithful are over all arms, references included.
    rows: the arms of the first table, at most seven. share_removed: how much of gray's pooled squared error the
    baseline removes, None where it is not known. farther_than_gray: metrics on which the recommended arm is surely
    farther from the truth than no colour at all.
    """

    outcome: str
    restored: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    baseline: Candidate | None = None
    recommended: Candidate | None = None
    published: Candidate | None = None
    closest: Candidate | None = None
    most_faithful: Candidate | None = None
    compromise: Candidate | None = None
    committed: Candidate | None = None
    rival: Rival | None = None
    rows: tuple[Candidate, ...] = ()
    published_verdicts: dict[str, int] = field(default_factory=dict)
    farther_than_gray: tuple[str, ...] = ()
    gray_better: tuple[str, ...] = ()
    share_removed: float | None = None
    verdicts: dict[str, int] = field(default_factory=dict)
    close: tuple[CloseCall, ...] = ()
    unfinished: dict[str, dict[str, int]] = field(default_factory=dict)
    unmeasured: tuple[str, ...] = ()
    threats: tuple[Threat, ...] = ()

    @property
    def pilot(self) -> bool:
        """Whether the baseline hardly beats gray, so that the study can show little."""
        return self.share_removed is not None and self.share_removed < PILOT


def find(result: StudyResult) -> Findings:
    """Work out the findings of a study from its tables."""
    all_ = {name: candidate(result, name) for name in result.arms}
    known = [one for one in all_.values() if not math.isnan(one.gap)]
    counted = [found for key, found in result.comparisons.items() if key[0] not in result.twins]
    rest = {
        "share_removed": share_removed(result),
        "verdicts": dict(Counter(found.verdict for found in counted)),
        "close": close_calls(result),
        "unfinished": _unfinished(result),
        "unmeasured": tuple(name for name in result.metrics if name not in result.measured),
        "gray_better": _gray_better(result),
        "threats": threats(result),
    }
    trained = [one for one in known if not one.reference]
    if not trained:
        return Findings("unmeasured", **rest)
    restored = [one for one in trained if restores(result, one.arm)]
    best = recommend(result, trained)
    free = [one.arm for one in restored if one.arm == result.baseline or _is_free(result, one)]
    rated = [one for one in all_.values() if not math.isnan(one.error)]
    committed = [one for one in all_.values() if not math.isnan(one.commitment)]
    published = all_.get(result.published) if result.published != result.baseline else None
    counted = Counter(published.verdicts[name] for name in result.key_metrics if name in published.verdicts) if (
        published) else {}  # fmt: skip
    found = {
        "baseline": all_.get(result.baseline),
        "recommended": best,
        "published": published,
        "closest": min(known, key=lambda one: one.gap),
        "most_faithful": min(rated, key=lambda one: one.error, default=None),
        "compromise": _compromise(result, known, best, all_.get(result.baseline)),
        "committed": max(committed, key=lambda one: one.commitment, default=None),
        "rival": _rival(result, best, known),
    }
    outcome = "free" if free else "priced" if restored else "none"
    return Findings(
        outcome, tuple(one.arm for one in restored), tuple(free), **found,
        rows=_rows(result, found, all_),
        published_verdicts=dict(counted),
        farther_than_gray=_farther_than_gray(result, best.arm),
        **rest,
    )  # fmt: skip


def candidate(result: StudyResult, arm: str) -> Candidate:
    """What the tables say of one arm."""

    def mean(metric: str, of: str = arm) -> float:
        found = result.estimates.get((of, metric))
        return found.mean if found else math.nan

    chroma, error = mean(AMOUNT), mean(ERROR)
    gap = result.metrics[AMOUNT].badness(chroma) if AMOUNT in result.metrics else math.nan
    base = mean(ERROR, result.baseline)
    cost = next((row for row in result.rows("cost") if row.arm == arm), None)
    return Candidate(
        arm, bool(result.arms[arm].control), chroma, gap, error, error / base - 1 if base else math.nan,
        {metric: found.verdict for (name, metric), found in result.comparisons.items() if name == arm},
        cost.step_ratio if cost else math.nan, cost.memory_ratio if cost else math.nan, mean(COMMITMENT), mean(SEPIA),
    )  # fmt: skip


def restores(result: StudyResult, arm: str) -> bool:
    """Whether the chroma ratio is within the margin of the truth's; twice that where its interval holds the truth's."""
    metric, own = result.metrics[AMOUNT], result.estimates[arm, AMOUNT]
    return metric.badness(own.mean) <= metric.margin * (2 if own.low <= metric.target <= own.high else 1)


def recommend(result: StudyResult, trained: list[Candidate]) -> Candidate:
    """The trained arm nearest to the truth's chroma; of those as near within the margin, the one of least error."""
    nearest = min(trained, key=lambda one: one.gap)
    alike = [one for one in trained if one.gap <= nearest.gap + result.metrics[AMOUNT].margin]
    return min(alike, key=lambda one: (math.inf if math.isnan(one.error) else one.error, one.gap))


def _is_free(result: StudyResult, one: Candidate) -> bool:
    watched = [*FIDELITY, *([] if result.is_foreign(SEPIA) else [SEPIA])]
    said = [one.verdicts[metric] for metric in watched if metric in one.verdicts]
    return bool(said) and all(verdict in ("within tolerance", "better") for verdict in said)


def _compromise(
    result: StudyResult, known: list[Candidate], best: Candidate, base: Candidate | None
) -> Candidate | None:
    """An arm between baseline and recommended that no other beats: the cheapest that closes half the gap, if one does.

    Otherwise the one that closes most.
    """
    if base is None or best.arm == base.arm or math.isnan(best.error) or best.error <= base.error:
        return None
    margin = result.metrics[AMOUNT].margin
    points = [one for one in known if not math.isnan(one.error)]
    front = [
        one for one in points
        if best.gap + margin < one.gap < base.gap - margin and one.error < best.error
        and not any(o.gap <= one.gap and o.error <= one.error and o is not one for o in points)
    ]  # fmt: skip
    halfway = [one for one in front if one.gap <= (best.gap + base.gap) / 2]
    return min(halfway, key=lambda one: one.error) if halfway else min(front, key=lambda one: one.gap, default=None)


def _rival(result: StudyResult, best: Candidate, known: list[Candidate]) -> Rival | None:
    rivals = [one for one in known if one.reference and not result.arms[one.arm].is_gray]
    if not rivals:
        return None
    one = min(rivals, key=lambda rival: rival.gap)
    against = result.differences_to(one.arm).get((best.arm, ERROR))
    if against:
        error = {"worse": "smaller", "better": "larger"}.get(against.verdict, "same")
    elif math.isnan(one.error - best.error) or abs(one.error - best.error) <= result.metrics[ERROR].margin:
        error = "same"
    else:
        error = "smaller" if one.error < best.error else "larger"
    control = result.arms[one.arm].control
    return Rival(one, control["of"], control.get("by", "gain"), restores(result, one.arm), error)


def _rows(result: StudyResult, found: dict[str, Any], all_: dict[str, Candidate]) -> tuple[Candidate, ...]:
    """The arms of the first table: those that the answer names, then other losses, in the order of their chroma."""
    named = [found["baseline"], found["recommended"], found["closest"], found["most_faithful"], found["published"],
             found["rival"].candidate if found["rival"] else None, found["compromise"], found["committed"]]  # fmt: skip
    classes = [all_[name] for name in result.trained if result.arms[name].loss == "classification"]
    classes.sort(key=lambda one: result.arms[one.arm].tuned is None)
    chosen: dict[str, Candidate] = {}
    for one in [*named, *classes[:1]]:
        if one and len(chosen) < MOST_ROWS:
            chosen.setdefault(one.arm, one)
    return tuple(sorted(chosen.values(), key=lambda one: (math.isnan(one.chroma), one.chroma)))


def _gray(result: StudyResult) -> str | None:
    return next((name for name, arm in result.arms.items() if arm.is_gray), None)


def _farther_than_gray(result: StudyResult, arm: str) -> tuple[str, ...]:
    gray = _gray(result)
    pairs = {metric: (result.comparisons.get((arm, metric)), result.comparisons.get((gray, metric)))
             for metric in FIDELITY}  # fmt: skip
    return tuple(metric for metric, (own, no_color) in pairs.items() if own and no_color and own.low > no_color.high)


def _gray_better(result: StudyResult) -> tuple[str, ...]:
    """Measured metrics on which no colour at all is better than the baseline."""
    gray = _gray(result)
    return tuple(metric for metric in result.measured
                 if (found := result.comparisons.get((gray, metric))) and found.verdict == "better")  # fmt: skip


def share_removed(result: StudyResult) -> float | None:
    """Share of gray's pooled squared error that the baseline removes, mean over seeds; None where it is not known."""
    shares = [row.share_removed for row in result.rows("calibration")
              if row.arm == result.baseline and not math.isnan(row.share_removed)]  # fmt: skip
    return sum(shares) / len(shares) if shares else None


def is_close(found: Comparison, margin: float) -> bool:
    """Whether moving the interval by a tenth of its half-width may change the verdict."""
    if not found.has_interval:
        return False
    shift = CLOSE * (found.high - found.low) / 2
    edges = [found.low, found.high]
    room = margin - max(abs(edge) for edge in edges)  # how far the interval lies inside the margin
    from_zero = max(found.low, -found.high)  # how far it lies beside zero
    enough = abs(found.mean) - margin
    if found.verdict == "within tolerance":
        return room < shift
    if found.verdict == "inconclusive":
        return room > -shift or (from_zero > -shift and enough > -shift)
    return from_zero < shift or enough < shift


def close_calls(result: StudyResult) -> tuple[CloseCall, ...]:
    """Verdicts on the key metrics that hang on little."""
    return tuple(
        CloseCall(arm, metric, found.verdict)
        for (arm, metric), found in result.comparisons.items()
        if metric in result.key_metrics and is_close(found, result.metrics[metric].margin)
    )


def _unfinished(result: StudyResult) -> dict[str, dict[str, int]]:
    """Status -> arm -> how many of its training runs have it, finished ones left out."""
    found: dict[str, dict[str, int]] = {}
    for row in result.rows("cells"):
        if row.status != "finished":
            own = found.setdefault(row.status, {})
            own[row.arm] = own.get(row.arm, 0) + 1
    return found


def threats(result: StudyResult) -> tuple[Threat, ...]:
    """What could make the answer wrong, from the metadata and tables of this study."""
    meta, data, training = result.meta, result.meta["data"] or {}, result.meta["training"] or {}
    many, found = len(result.seeds), []
    if many < 6:
        found.append(Threat("one_seed" if many == 1 else "few_seeds", {"seeds": many}))
    removed = share_removed(result)
    if removed is not None and removed < PILOT:
        found.append(Threat("pilot", {"share": removed}))
    if training.get("images"):
        train = (data.get("counts") or {}).get("train")
        passes = training["images"] / train if train else math.nan
        found.append(Threat("short_training", {"images": training["images"], "passes": passes}))
    if result.distribution:
        found.append(Threat("made_world", {"sepia_foreign": result.is_foreign(SEPIA)}))
    if data.get("size"):
        found.append(Threat("small_pictures", {"size": data["size"]}))
    if many > 1:
        found.append(Threat("luck", {"seeds": many, "coverage": meta["coverage"]}))
    found.append(Threat("shared_settings", {"own": [name for name, arm in result.arms.items() if arm.train]}))
    if unmeasured := [name for name in result.metrics if name not in result.measured]:
        reason = (meta["lpips"] or {}).get("reason") if any(name.startswith("lpips") for name in unmeasured) else ""
        found.append(Threat("unmeasured", {"metrics": unmeasured, "reason": reason or ""}))
    if "diverged" in _unfinished(result):
        found.append(Threat("diverged"))
    found += [
        Threat(one["name"], {key: value for key, value in one.items() if key != "name"}) for one in meta["threats"]
    ]
    found += [Threat(kind, {"many": data[kind]}) for kind in ("seen_in_training", "skipped") if data.get(kind)]
    if monochrome := {split: many for split, many in (data.get("monochrome") or {}).items() if many}:
        found.append(Threat("monochrome", {"splits": monochrome, "flagged": data.get("flagged", 0)}))
    if converted := {space: many for space, many in (data.get("color_spaces") or {}).items() if space != "sRGB"}:
        found.append(Threat("converted", {"spaces": converted}))
    if len(kinds := meta["provenance"].get("processors") or {}) > 1:
        found.append(Threat("mixed_processors", {"kinds": kinds}))
    if result.pictures:
        found.append(Threat("pictures"))
    return tuple(found)
