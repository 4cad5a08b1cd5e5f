"""The search's answer: values, and the same in plain words, from the scores on fresh seeds."""

from __future__ import annotations

from typing import Any

from study.search.finalists import means
from study.search.recommend import CLOSE
from study.search.runner import Search

WORTH_SAYING = 0.9  # another point helps hue when its hue diversity gap is below this share of the answer's

_WHY = {
    "chroma_ratio": "is further from the truth's chroma than the best finalist",
    "ab_rmse": "has a larger error than the best finalist",
    "diversity": "has its hue diversity further off than the best finalist",
    "diverged": "diverged",
}


def advice(search: Search, content: dict[str, Any]) -> dict[str, Any]:
    """The answer as search.json has it: "sentence", "sentences" (one for each family) and "answer" (its values).

    The answer is a recommended point: of the families whose recommended point restores the truth's chroma, that with
    the smallest ab_rmse, or else the one that comes nearest to the chroma. Beside it stands the point of any family
    whose hue diversity is least off, if that is clearly less. All are empty when every candidate diverged.

    answer: {"use": values, "for_hue": values, if there is such a point}. The values of a point are family, choice,
    settings (in words), chroma_ratio, chroma_interval, price (share by which ab_rmse exceeds the baseline's),
    hue_diversity, and diversity (the gap of it).
    """
    points = [
        _values(search, name, choice, point, content)
        for name, family in content["families"].items()
        for choice, point in family["choices"].items()
    ]
    recommended = {one["family"]: one for one in points if one["choice"] == "recommended"}
    if not recommended:
        return {"sentence": "", "sentences": {}, "answer": {}}
    gaps = {name: abs(one["chroma_ratio"] - 1) for name, one in recommended.items()}
    close = [name for name in recommended if gaps[name] <= max(CLOSE, min(gaps.values()))]
    use = min((recommended[name] for name in close), key=lambda one: one["price"])
    sentences = {name: _sentences(search, one, content) for name, one in recommended.items()}
    answer, sentence = {"use": use}, f"On {search.study} use {sentences[use['family']]}"
    hue = min(points, key=lambda one: one["diversity"])
    if hue["diversity"] < WORTH_SAYING * use["diversity"]:
        answer["for_hue"] = hue
        sentence += (
            f" If hue matters more, use {hue['family']} with {hue['settings']}. Its pictures are off by "
            f"{hue['diversity']:.3f} in hue diversity instead of {use['diversity']:.3f}. {_chroma_and_price(hue)}"
        )
    return {"sentence": sentence, "sentences": sentences, "answer": answer}


def count_of_seeds(count: int, kind: str = "") -> str:
    """ "1 seed", "2 fresh seeds"."""
    return f"{count} {kind}seed{'' if count == 1 else 's'}"


def _values(search: Search, family: str, choice: str, point: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    score, plain = means(point["refit"]), means(content["baseline"]["refit"])
    return {
        "family": family,
        "choice": choice,
        "settings": search.open(family).space.in_words(point),
        "chroma_ratio": score["chroma_ratio"],
        "chroma_interval": [point["refit"]["chroma_ratio"][end] for end in ("low", "high")],
        "price": score["ab_rmse"] / plain["ab_rmse"] - 1,
        "hue_diversity": score["hue_diversity"],
        "diversity": score["diversity"],
    }


def _sentences(search: Search, use: dict[str, Any], content: dict[str, Any]) -> str:
    low, high = (f"{100 * end:.0f}" for end in use["chroma_interval"])
    over = "the pictures alone" if search.settings.fresh_seeds == 1 else "seeds and pictures"
    plain = means(content["baseline"]["refit"])
    before, after = plain["hue_diversity"], use["hue_diversity"]
    change = f"{'falls' if after < before else 'rises'} from {before:.2f} to"
    return (
        f"{use['family']} with {use['settings']}. {_chroma_and_price(use)} The chroma's 95 % interval over {over} is "
        f"{low} to {high} %; {content['baseline']['arm']} restores {100 * plain['chroma_ratio']:.0f} %. Hue diversity "
        f"{'stays at' if f'{before:.2f}' == f'{after:.2f}' else change} {after:.2f}; the truth has "
        f"{content['truth']['hue_diversity']:.2f}. These scores are from validation pictures and the "
        f"{count_of_seeds(search.settings.fresh_seeds, 'fresh ')} that chose it."
        f"{_region(content['families'][use['family']]['middle'])}"
    )


def _chroma_and_price(point: dict[str, Any]) -> str:
    percent = 100 * point["price"]
    price = f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'}" if abs(percent) >= 0.5 else "the same"
    return f"It restores {100 * point['chroma_ratio']:.0f} % of the chroma at {price} ab RMSE."


def _region(middle: dict[str, Any]) -> str:
    """The region in words, or why there is none."""
    if middle["reason"] == "few candidates":
        return " There were too few candidates to tell a range."
    if middle["ranges"] is None:
        return ""
    ranges = ", ".join(_range(column[2:].replace("_", " "), found) for column, found in middle["ranges"].items())
    if middle["recommended"]:
        return f" As far as the search can tell, these ranges do as well: {ranges}."
    return (
        f" Short training suggested these ranges: {ranges}. But trained in full, their middle "
        f"{_WHY[middle['reason']]}. So the best finalist is recommended instead."
    )


def _range(name: str, found: dict[str, Any]) -> str:
    if "values" in found:
        return f"{name} {' or '.join('none' if value is None else str(value) for value in found['values'])}"
    ends = " and ".join(end for end in ("low", "high") if found[f"open_{end}"])
    span = f"{found['low']:g}" if found["low"] == found["high"] else f"{found['low']:g} to {found['high']:g}"
    return f"{name} {span}" + (f" ({ends} end of what was searched)" if ends else "")
