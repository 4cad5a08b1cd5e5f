"""What the READMEs show works, and every number in README.md is the one in results/."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from study.params import LossSettings
from study.plan import Project
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "ablations/README.md"])
def test_the_loss_of_your_own_in_the_readme_passes_the_checks(page: str, root: Path) -> None:
    import torch

    from study.check import check_arm
    from study.losses import build_loss

    text = (REPOSITORY / page).read_text()
    (python,) = (code for code in code_blocks(text, "python") if "@register" in code)
    (arm,) = (block for block in code_blocks(text, "yaml") if "file:" in block)
    settings = LossSettings(**yaml.safe_load(arm)["loss"])
    (root / settings.file).write_text(python)
    (root / "ablations" / "charbonnier.yaml").write_text(arm)
    assert [check for check in check_arm(Project.open(root), "charbonnier") if not check.passed] == []
    result = build_loss(settings, None, root)(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    assert result["total"] == pytest.approx(1.0)


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


def test_every_file_the_readmes_point_to_exists() -> None:
    for page in ("README.md", "ablations/README.md"):
        text = (REPOSITORY / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (REPOSITORY / page).parent.joinpath(target).exists(), target
