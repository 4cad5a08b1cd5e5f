"""What the pages of docs/ point to exists, and what they show works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from study.data.prepare import prepare
from study.models import registry
from study.project import Project
from study.training.executor import run_cells
from tests.conftest import REPOSITORY, TINY_STUDY, write_params

PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
LINKED = [*PAGES, REPOSITORY / "README.md", REPOSITORY / "ablations" / "README.md"]


def code_blocks(page: str, language: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings have on the web."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http:", "https:"))]
    broken = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


def test_the_commands_shown_exist() -> None:
    from study.cli import study

    shown = []
    for page in PAGES:
        lines = (line for block in code_blocks(page.name, "sh") for line in block.splitlines())
        shown += [shlex.split(line, comments=True) for line in lines]
    ours = [words[words.index("study") :] for words in shown if "study" in words]
    assert len(ours) > 10
    for _, name, *arguments in ours:
        command = study.commands[name]
        command.make_context(name, arguments)  # raises for options and arguments that do not fit
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert {words[1] for words in shown if words[:1] == ["make"]} <= targets


def test_the_study_of_own_pictures_is_one(root: Path) -> None:
    from study.config.params import load_params

    (block,) = code_blocks("own_pictures.md", "yaml")
    params = yaml.safe_load((root / "params.yaml").read_text())
    write_params(root, params | {"studies": params["studies"] | yaml.safe_load(block)["studies"]})
    holiday = load_params(root).studies["holiday"]
    assert (holiday.data.source, len(holiday.seeds)) == ("folder", 6)


def test_every_arm_shown_can_be_loaded(root: Path) -> None:
    from study.config.arms import load_arm

    arms = [block for block in code_blocks("own_loss.md", "yaml") if block.startswith("description:")]
    assert len(arms) == 4
    for number, arm in enumerate(arms):
        (root / "ablations" / f"shown_{number}.yaml").write_text(arm)
        assert load_arm(root, f"shown_{number}").description


def test_every_loss_and_its_terms_are_listed() -> None:
    from study.losses import loss_names, registry

    text = (REPOSITORY / "docs" / "own_loss.md").read_text()
    rows = {row[1].strip(" `"): row[2] for row in (line.split("|") for line in text.splitlines()) if len(row) == 5}
    for name in loss_names():
        assert name in rows
        listed = rows[name]
        if "the same" in listed or "those of" in listed:
            listed += rows["anti_average"]
        assert all(f"`{term}`" in listed for term in registry._LOSSES[name].terms), name


def test_the_loss_of_your_own_passes_the_checks(root: Path) -> None:
    import torch

    from study.config.arms import load_arm
    from study.doctor import check_arm
    from study.losses import build_loss
    from study.project import Project

    (python,) = (code for code in code_blocks("own_loss.md", "python") if "@register" in code)
    (arm,) = (block for block in code_blocks("own_loss.md", "yaml") if "file:" in block)
    (root / "ablations" / "charbonnier.yaml").write_text(arm)
    settings = load_arm(root, "charbonnier").loss
    (root / settings.file).write_text(python)
    assert [check for check in check_arm(Project.open(root), "charbonnier") if not check.passed] == []
    result = build_loss(settings, None, root)(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    assert result["total"] == pytest.approx(1.0)


@pytest.mark.parametrize("page", ["own_loss.md", "../README.md"])
def test_the_losses_lift_into_other_training(page: str) -> None:
    (code,) = (code for code in code_blocks(page, "python") if "ColorizationAntiAverageLoss" in code)
    names: dict = {}
    exec(code, names)
    assert names["predicted_ab"].grad.isfinite().all()


def test_the_theory_shown_keeps_the_hue_and_adds_chroma(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    (code,) = code_blocks("method.md", "python")
    exec(code, {})
    plain, vivid = (np.array(line.strip("[]").split(), float) for line in capsys.readouterr().out.splitlines())
    np.testing.assert_allclose(plain, [40, -5])
    np.testing.assert_allclose(np.arctan2(*vivid), np.arctan2(*plain), rtol=1e-6)
    assert np.hypot(*vivid) > np.hypot(*plain) + 10


def test_every_metric_and_verdict_is_in_the_glossary() -> None:
    from study.analysis.schemas import CLAIM_VERDICTS
    from study.metrics import METRICS
    from study.statistics import VERDICTS

    text = (REPOSITORY / "docs" / "glossary.md").read_text()
    assert [word for word in (*METRICS, *VERDICTS, *CLAIM_VERDICTS) if f"`{word}`" not in text] == []


def test_the_network_that_the_docs_show_trains_under_both_heads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TRUNKS", dict(registry._TRUNKS))
    (python,) = code_blocks("networks.md", "python")
    model = next(yaml.safe_load(block)["model"] for block in code_blocks("networks.md", "yaml") if "file:" in block)
    (root / model["file"]).write_text(python)
    pipeline = {"studies": ["tiny"], "arms": ["mse", "zhang"], "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY | {"model": model}}})
    project = Project.open(root)
    prepare("tiny", project.study("tiny"), root)
    cells = project.cells("tiny", project.arms("tiny", ("mse", "zhang")), [0])
    assert [record["status"] for record in run_cells(cells, project.store, 1)] == ["finished"] * 2
    assert len([line for line in python.splitlines() if line.strip() and not line.startswith(("import", "from"))]) <= 15
