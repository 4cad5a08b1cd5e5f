"""The search's answer in plain words, worked out from the scores on fresh seeds."""

from __future__ import annotations

from typing import Any

from study.search.finalists import CLOSE, means
from study.search.runner import Search

WORTH_SAYING = 0.9  # another point helps hue when its gap to the true hue diversity is below this share of ours


def advice(search: Search, everything: dict[str, Any]) -> dict[str, Any]:
    """{"sentence": the answer, "sentences": one for each family, "answer": the pieces of the answer}.

    The answer is the recommended point with the smallest ab_rmse among the families whose recommended point has the
    truth's chroma, or else the one that comes nearest to it; beside it, for those to whom hue matters, the point of
    any family whose hue diversity is least off, if that is clearly less than the answer's. All are empty when no
    candidate came through.
    """
    families = everything["families"]
    points = {(name, choice): point for name, family in families.items() for choice, point in family["choices"].items()}
    recommended = {key: point for key, point in points.items() if key[1] == "recommended"}
    if not recommended:
        return {"sentence": "", "sentences": {}, "answer": {}}
    scores = {key: means(point["honest"]) for key, point in points.items()}
    nearest = max(CLOSE, min(abs(scores[key]["chroma_ratio"] - 1) for key in recommended))
    close = [key for key in recommended if abs(scores[key]["chroma_ratio"] - 1) <= nearest]
    use = min(close, key=lambda key: scores[key]["ab_rmse"])
    sentences = {key[0]: _sentence(search, key, point, everything) for key, point in recommended.items()}
    answer = {"use": _pieces(search, use, points[use], everything)}
    sentence = f"On {search.study} use {sentences[use[0]]}"
    hue = min(points, key=lambda key: scores[key]["diversity"])
    if scores[hue]["diversity"] < WORTH_SAYING * scores[use]["diversity"]:
        answer["for_hue"] = pieces = _pieces(search, hue, points[hue], everything)
        sentence += (
            f" If hue matters more, use {_name(pieces)}: the hue diversity of a picture is off by "
            f"{pieces['diversity']:.3f} in place of {scores[use]['diversity']:.3f}, with "
            f"{_chroma(search, pieces)}, for {_price(pieces)}."
        )
    else:
        sentence += " No other point of any family brings hue diversity clearly nearer to the truth."
    return {"sentence": sentence, "sentences": sentences, "answer": answer}


def _sentence(search: Search, key: tuple[str, str], point: dict[str, Any], everything: dict[str, Any]) -> str:
    pieces, plain = _pieces(search, key, point, everything), means(everything["baseline"]["honest"])
    return (
        f"{_name(pieces)}: on validation pictures and the {seeds_in_words(search.settings.fresh_seeds, 'fresh ')} that "
        f"chose it, it restores {_chroma(search, pieces)} where {everything['baseline']['arm']} restores "
        f"{100 * plain['chroma_ratio']:.0f} %, for {_price(pieces)}, and hue diversity "
        f"{_change(plain['hue_diversity'], pieces['hue_diversity'])} where the truth has "
        f"{everything['truth']['hue_diversity']:.2f}."
    )


def _pieces(search: Search, key: tuple[str, str], point: dict[str, Any], everything: dict[str, Any]) -> dict[str, Any]:
    score, plain = means(point["honest"]), means(everything["baseline"]["honest"])
    return {
        "family": key[0],
        "choice": key[1],
        "settings": search.open(key[0]).space.in_words(point),
        "chroma_ratio": score["chroma_ratio"],
        "chroma_interval": [point["honest"]["chroma_ratio"][end] for end in ("low", "high")],
        "price": score["ab_rmse"] / plain["ab_rmse"] - 1,
        "hue_diversity": score["hue_diversity"],
        "diversity": score["diversity"],
    }


def _name(pieces: dict[str, Any]) -> str:
    return f"{pieces['family']} with {pieces['settings']}"


def _chroma(search: Search, pieces: dict[str, Any]) -> str:
    low, high = (f"{100 * end:.0f}" for end in pieces["chroma_interval"])
    over = " over the pictures alone" if search.settings.fresh_seeds == 1 else ""
    return f"{100 * pieces['chroma_ratio']:.0f} % of the chroma (95 % interval{over} {low} to {high} %)"


def seeds_in_words(count: int, kind: str = "") -> str:
    """ "1 seed", "2 fresh seeds"."""
    return f"{count} {kind}seed{'' if count == 1 else 's'}"


def _price(pieces: dict[str, Any]) -> str:
    percent = 100 * pieces["price"]
    if abs(percent) < 0.5:
        return "the same ab RMSE"
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'} ab RMSE"


def _change(before: float, after: float) -> str:
    if round(before, 2) == round(after, 2):
        return f"stays at {after:.2f}"
    return f"{'falls' if after < before else 'rises'} from {before:.2f} to {after:.2f}"
