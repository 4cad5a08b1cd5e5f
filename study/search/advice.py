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
    families = content["families"]
    points = {(name, choice): point for name, family in families.items() for choice, point in family["choices"].items()}
    recommended = [key for key in points if key[1] == "recommended"]
    if not recommended:
        return {"sentence": "", "sentences": {}, "answer": {}}
    values = {key: _values(search, key, point, content) for key, point in points.items()}
    gaps = {key: abs(values[key]["chroma_ratio"] - 1) for key in recommended}
    close = [key for key in recommended if gaps[key] <= max(CLOSE, min(gaps.values()))]
    use = min(close, key=lambda key: values[key]["price"])
    sentences = {key[0]: _sentences(search, values[key], families[key[0]], content) for key in recommended}
    answer = {"use": values[use]}
    sentence = f"On {search.study} use {sentences[use[0]]}"
    hue = min(points, key=lambda key: values[key]["diversity"])
    if values[hue]["diversity"] < WORTH_SAYING * values[use]["diversity"]:
        answer["for_hue"] = other = values[hue]
        sentence += (
            f" If hue matters more, use {_name(other)}. Its pictures are off by {other['diversity']:.3f} in hue "
            f"diversity instead of {values[use]['diversity']:.3f}. It restores {_chroma(other)} at {_price(other)}."
        )
    else:
        sentence += " No other finalist is clearly nearer to the truth's hue diversity."
    return {"sentence": sentence, "sentences": sentences, "answer": answer}


def count_of_seeds(count: int, kind: str = "") -> str:
    """ "1 seed", "2 fresh seeds"."""
    return f"{count} {kind}seed{'' if count == 1 else 's'}"


def _values(search: Search, key: tuple[str, str], point: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    score, plain = means(point["refit"]), means(content["baseline"]["refit"])
    return {
        "family": key[0],
        "choice": key[1],
        "settings": search.open(key[0]).space.in_words(point),
        "chroma_ratio": score["chroma_ratio"],
        "chroma_interval": [point["refit"]["chroma_ratio"][end] for end in ("low", "high")],
        "price": score["ab_rmse"] / plain["ab_rmse"] - 1,
        "hue_diversity": score["hue_diversity"],
        "diversity": score["diversity"],
    }


def _sentences(search: Search, values: dict[str, Any], family: dict[str, Any], content: dict[str, Any]) -> str:
    plain, arm = means(content["baseline"]["refit"]), content["baseline"]["arm"]
    low, high = (f"{100 * end:.0f}" for end in values["chroma_interval"])
    over = "the pictures alone" if search.settings.fresh_seeds == 1 else "seeds and pictures"
    return (
        f"{_name(values)}. It restores {_chroma(values)} (95 % interval over {over}: {low} to {high} %); {arm} "
        f"restores {100 * plain['chroma_ratio']:.0f} %. It comes at {_price(values)}. Hue diversity "
        f"{_change(plain['hue_diversity'], values['hue_diversity'])}; the truth has "
        f"{content['truth']['hue_diversity']:.2f}. These scores are from validation pictures and the "
        f"{count_of_seeds(search.settings.fresh_seeds, 'fresh ')} that chose it.{_region(family)}"
    )


def _region(family: dict[str, Any]) -> str:
    """The region in words, or why there is none."""
    middle = family["middle"]
    if middle["reason"] == "few candidates":
        return " There were too few candidates to tell a range."
    if middle["ranges"] is None:
        return ""
    ranges = ", ".join(_ranges(middle["ranges"]))
    if middle["recommended"]:
        return f" As far as the search can tell, these ranges do as well: {ranges}."
    return (
        f" Short training suggested these ranges: {ranges}. But trained in full, their middle "
        f"{_WHY[middle['reason']]}. So the best finalist is recommended instead."
    )


def _ranges(region: dict[str, Any]) -> list[str]:
    said = []
    for column, found in region.items():
        name = column[2:].replace("_", " ")
        if "values" in found:
            said.append(f"{name} {' or '.join('none' if value is None else str(value) for value in found['values'])}")
            continue
        ends = " and ".join(end for end in ("low", "high") if found[f"open_{end}"])
        searched = f" ({ends} end of what was searched)" if ends else ""
        span = f"{found['low']:g}" if found["low"] == found["high"] else f"{found['low']:g} to {found['high']:g}"
        said.append(f"{name} {span}{searched}")
    return said


def _name(values: dict[str, Any]) -> str:
    return f"{values['family']} with {values['settings']}"


def _chroma(values: dict[str, Any]) -> str:
    return f"{100 * values['chroma_ratio']:.0f} % of the chroma"


def _price(values: dict[str, Any]) -> str:
    percent = 100 * values["price"]
    if abs(percent) < 0.5:
        return "the same ab RMSE"
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'} ab RMSE"


def _change(before: float, after: float) -> str:
    if round(before, 2) == round(after, 2):
        return f"stays at {after:.2f}"
    return f"{'falls' if after < before else 'rises'} from {before:.2f} to {after:.2f}"
