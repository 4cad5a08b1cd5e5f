"""What the READMEs show works, and every number in README.md is the one in results/."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest
import yaml

from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_losses_lift_into_other_training_as_the_readme_shows() -> None:
    (code,) = (code for code in code_blocks(README, "python") if "ColorizationAntiAverageLoss" in code)
    names: dict = {}
    exec(code, names)
    assert names["predicted_ab"].grad.isfinite().all()


@pytest.mark.parametrize("study", ["palette_world", "tiny_imagenet"])
def test_every_number_in_the_readmes_tables_is_in_the_results(study: str) -> None:
    section = README.split(f"<!-- {study} -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.strip().splitlines()]
    header, body = rows[0], rows[2:]
    arms = pd.read_csv(REPOSITORY / "results" / study / "tables" / "arms.csv").set_index(["arm", "metric"])
    checked = 0
    for row in body:
        arm = row[0].strip("`")
        for title, shown in zip(header[1:], row[1:], strict=True):
            metric = title.strip("`")
            decimals = len(shown.split(".")[1]) if "." in shown else 0
            assert f"{arms.loc[(arm, metric), 'mean']:.{decimals}f}" == shown, (arm, metric)
            checked += 1
    assert checked >= 20
    shown = {row[0].strip("`") for row in body}
    assert {"mse", "saturation", "diversity", "confidence", "anti_average", "zhang_plain", "zhang"} <= shown


class Numbers:
    """What the README's sentences are made from."""

    def __init__(self, study: str) -> None:
        self.folder = REPOSITORY / "results" / study
        tables = self.folder / "tables"
        self.arms = pd.read_csv(tables / "arms.csv").set_index(["arm", "metric"])["mean"]
        self.paired = pd.read_csv(tables / "paired.csv").set_index(["baseline", "arm", "metric"])
        self.kinds = pd.read_csv(tables / "kinds.csv").set_index(["arm", "kind", "metric"])["mean"]
        self.claims = pd.read_csv(tables / "claims.csv")
        searched = self.folder / "search" / "best.yaml"
        self.best = yaml.safe_load(searched.read_text())["families"] if searched.exists() else {}

    def more(self, metric: str, arm: str, baseline: str = "mse") -> str:
        """By how many percent the arm's mean lies above the baseline's."""
        return f"{100 * (self.arms[arm, metric] / self.arms[baseline, metric] - 1):.0f} %"

    def share(self, arm: str, metric: str) -> str:
        return f"{100 * self.arms[arm, metric]:.0f} %"

    def delta(self, metric: str, arm: str, baseline: str = "mse") -> float:
        return self.paired.loc[(baseline, arm, metric), "delta"]

    def verdict(self, metric: str, arm: str, baseline: str = "mse") -> str:
        return self.paired.loc[(baseline, arm, metric), "verdict"]

    def weight(self, term: str, digits: int = 3) -> str:
        return f"{self.best['anti_average']['recommended']['weights'][term]:.{digits}g}"

    def verdicts(self, by: str | None = None) -> dict[str, int]:
        """How many checks came out how: all, or those of "loss" or of "study"."""
        chosen = self.claims if by is None else self.claims[self.claims["by"] == by]
        return {"all": len(chosen), **chosen["verdict"].value_counts()}


def palette_world() -> list[str]:
    """What the README says of palette_world, with the numbers of the tables."""
    world, families, longer = Numbers("palette_world"), Numbers("palette_families"), Numbers("palette_double")
    law = pd.read_csv(world.folder / "tables" / "theory.csv")
    asked = law[(law["arm"] == "anti_average") & law["kind"].isin(["sky", "grass", "flower", "car"])]
    pull = pd.read_csv(world.folder / "tables" / "ledger.csv").set_index(["arm", "term"])["mean"]
    factors = pd.read_csv(families.folder / "tables" / "factorial.csv").set_index(["metric", "effect"])["shapley"]
    shares = {term: 100 * factors["chroma", f"shapley {term}"] for term in ("saturation", "diversity", "confidence")}
    loss, study = world.verdicts("loss"), world.verdicts("study")
    little = world.claims["why"].str.startswith("right in direction", na=False) & (world.claims["by"] == "loss")
    tuned = world.more("ab_rmse", "anti_average_tuned")
    return [
        f"within {100 * world.arms['mse', 'regret']:.1f} % of the smallest squared error",
        f"whose true colours have a chroma of {world.kinds['mse', 'car', 'true_chroma']:.0f}, "
        f"at {world.kinds['mse', 'car', 'chroma']:.0f}",
        f"It adds {world.delta('chroma', 'anti_average'):.2f} Lab units of chroma",
        f"squared error has {100 * pull['anti_average', 'lab']:.0f} % of the gradient",
        f"moves by {asked['predicted_change'].min():.1f} to {asked['predicted_change'].max():.1f} Lab units",
        f"A confidence weight of {world.weight('confidence')} in place of 1 (saturation "
        f"{world.weight('saturation', 2)}, diversity {world.weight('diversity', 2)}) brings "
        f"{world.share('anti_average_tuned', 'chroma_ratio')} of the chroma for {tuned} more `ab_rmse`",
        f"One gain on MSE's output brings {world.share('mse_gain_truth', 'chroma_ratio')} for "
        f"{world.more('ab_rmse', 'mse_gain_truth')}: on `ab_rmse` the two are "
        f"{world.verdict('ab_rmse', 'anti_average_tuned', 'mse_gain_truth')}",
        f"{world.share('anti_average_tuned', 'mode_commitment')} of the pixels come near one of them, "
        f"{world.share('zhang_tuned', 'mode_commitment')} under `zhang_tuned`, whose price is "
        f"{world.more('ab_rmse', 'zhang_tuned')} more `ab_rmse` ({world.share('mse_gain_truth', 'mode_commitment')} "
        "under that gain",
        f"of the chroma that they add together {shares['saturation']:.0f} % is the saturation term's, "
        f"{shares['confidence']:.0f} % the confidence term's, and the diversity term takes "
        f"{-shares['diversity']:.0f} % away again. The diversity term has "
        f"{100 * factors['ab_rmse', 'shapley diversity']:.0f} % of what they cost",
        f"Without it (`strong_sc`) they bring {families.share('strong_sc', 'chroma_ratio')} of the chroma for "
        f"{families.more('ab_rmse', 'strong_sc')} more `ab_rmse`, with it "
        f"{families.share('strong_sdc', 'chroma_ratio')} for "
        f"{families.more('ab_rmse', 'strong_sdc')}; the searched weights above cost {tuned}",
        f"brings {families.share('pinball', 'chroma_ratio')} for {families.more('ab_rmse', 'pinball')}",
        f"`zhang` and `huber` are worse, by {longer.delta('ab_rmse', 'zhang'):.2f} and "
        f"{longer.delta('ab_rmse', 'huber'):.2f} Lab units",
        f"held to {loss['all']} checks",
        f"{loss['confirmed']} are confirmed, {loss['refuted']} refuted, {loss.get('undecided', 0)} undecided and "
        f"{loss.get('not testable', 0)} not testable",
        f"right in direction but too little to matter: {little.sum()} of the {loss['refuted']}.",
        f"{study['confirmed']} are confirmed, {study['refuted']} is refuted and {study['not testable']} not testable",
    ]


def tiny_imagenet() -> list[str]:
    """What the README says of the photographs, with the numbers of the tables."""
    photographs = Numbers("tiny_imagenet")
    arms, checks = photographs.arms, photographs.verdicts()
    gain = arms["mse_gain_truth", "chroma"] / arms["mse", "chroma"]
    return [
        f"add {photographs.delta('chroma', 'anti_average'):.2f} Lab units of chroma",
        f"saturation {photographs.weight('saturation')}, diversity {photographs.weight('diversity')}, confidence "
        f"{photographs.weight('confidence')}",
        f"({photographs.share('anti_average_tuned', 'chroma_ratio')} of the truth's, plain MSE "
        f"{photographs.share('mse', 'chroma_ratio')})",
        f"for {photographs.more('ab_rmse', 'anti_average_tuned')} more `ab_rmse`. It does not cure sepia",
        f"is {arms['anti_average_tuned', 'sepia_cast']:.1f} Lab units against {arms['mse', 'sepia_cast']:.1f} of plain "
        "MSE",
        f"(`gray`: {arms['gray', 'ab_rmse']:.1f} and {arms['gray', 'ciede2000']:.1f})",
        f"One gain of {gain:.1f} on MSE's output brings {photographs.share('mse_gain_truth', 'chroma_ratio')} of the "
        f"chroma for {photographs.more('ab_rmse', 'mse_gain_truth')} more `ab_rmse`, and faint brown with it "
        f"({arms['mse_gain_truth', 'sepia_cast']:.1f}; the difference is "
        f"{photographs.verdict('sepia_cast', 'anti_average_tuned', 'mse_gain_truth')})",
        f"with less sepia than MSE ({arms['zhang', 'sepia_cast']:.1f})",
        f"Of the {checks['all']} checks {checks['confirmed']} are confirmed, {checks['refuted']} refuted, "
        f"{checks['undecided']} undecided and {checks['not testable']} not testable",
    ]


@pytest.mark.parametrize("said", [palette_world, tiny_imagenet], ids=lambda said: said.__name__)
def test_every_number_in_the_readmes_sentences_is_in_the_results(said: Callable[[], list[str]]) -> None:
    text = " ".join(README.replace("**", "").split())
    assert [sentence for sentence in said() if sentence not in text] == []
