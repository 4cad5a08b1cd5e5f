"""What a search found is found anew when what decides it has changed, and only then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from study.project import Project
from study.search import fingerprints
from study.search.fingerprints import made_from, search_code
from study.training.fingerprint import PACKAGE, modules_of
from tests.search.conftest import make_project


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("fingerprints")).root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "own")


def facts(root: Path, families: tuple[str, ...] = ("anti_average", "zhang"), slack: float | None = None) -> dict:
    project = Project.open(root)
    return made_from(project, "tiny", project.study("tiny").search, families, slack)


def edit(file: Path, change: Callable[[dict], object]) -> None:
    content = yaml.safe_load(file.read_text())
    change(content)
    file.write_text(json.dumps(content))  # which is YAML too


def test_judging_and_selecting_depend_on_the_code_that_they_use_and_not_on_words() -> None:
    names = [
        {path.relative_to(PACKAGE).as_posix() for path in modules_of(entry)}
        for entry in (fingerprints.JUDGING, fingerprints.SELECTING)
    ]
    assert {f"search/{name}.py" for name in ("candidates", "front", "objectives", "runner", "space")} <= names[0]
    assert {f"search/{name}.py" for name in ("finalists", "recommend", "region", "surfaces")} <= names[1] - names[0]
    assert "statistics.py" in names[1]
    for found in names:
        assert not {f"search/{name}.py" for name in ("advice", "results", "run", "schemas", "storage")} & found
        assert not {name for name in found if name.startswith(("data/", "report/", "analysis/"))}
        assert not {name for name in found if name.startswith("losses/")} & {
            "losses/huber.py",
            "losses/classification.py",
        }


@pytest.mark.parametrize(("entry", "place"), [("JUDGING", 0), ("SELECTING", 1)])
def test_changed_code_changes_its_fingerprint_and_a_comment_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str, place: int
) -> None:
    text = getattr(fingerprints, entry).read_text()
    found = []
    for k, more in enumerate(("", "\n# a comment\n", "\nanother = 1\n")):
        (tmp_path / str(k)).mkdir()
        (tmp_path / str(k) / "own.py").write_text(text + more)
        monkeypatch.setattr(fingerprints, entry, tmp_path / str(k) / "own.py")
        found.append(search_code("cpu")[place])
    assert found[0] == found[1] != found[2]


def test_results_are_made_from_the_same_after_everything_that_decides_nothing(root: Path) -> None:
    before = facts(root)
    (root / "ablations" / "losses" / "new.py").write_text("from study.losses import Loss\n")
    (root / "ablations" / "new.yaml").write_text("description: new\nloss: {name: huber}\n")
    edit(root / "ablations" / "anti_average.yaml", lambda arm: arm.update(description="other words"))
    edit(root / "ablations" / "search_space.yaml",
         lambda space: space["families"]["zhang"]["enqueue"][0].update(name="as published"))  # fmt: skip
    edit(root / "ablations" / "search_space.yaml",
         lambda space: space["families"].update(more=space["families"]["zhang"]))  # fmt: skip
    edit(root / "params.yaml", lambda params: params["studies"]["tiny"].update(title="Other", seeds=[4, 5, 6]))
    edit(root / "params.yaml", lambda params: params["studies"]["tiny"]["train"].update(checkpoint_seconds=1))
    assert facts(root) == before


CHANGES = {
    "the budget": ("params.yaml", lambda params: params["studies"]["tiny"]["search"].update(trials=7)),
    "training": ("params.yaml", lambda params: params["studies"]["tiny"]["train"].update(learning_rate=1e-3)),
    "the network": ("params.yaml", lambda params: params["studies"]["tiny"]["model"]["options"].update(width=8)),
    "intervals": ("params.yaml", lambda params: params["studies"]["tiny"]["compare"].update(resamples=300)),
    "the baseline": ("params.yaml", lambda params: params["pipeline"].update(baseline="anti_average")),
    "a range": ("ablations/search_space.yaml",
                lambda space: space["families"]["anti_average"]["weights"]["confidence"].update(high=60)),
    "a template": ("ablations/zhang.yaml", lambda arm: arm["loss"].update(options={"rebalance": 0.25})),
    "the baseline's loss": ("ablations/mse.yaml", lambda arm: arm.update(loss={"name": "huber"})),
    "the data": ("data/tiny/manifest.json", lambda manifest: manifest.update(data_hash="other")),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_results_are_made_from_something_else_after_a_change_of(root: Path, what: str) -> None:
    before = facts(root)
    file, change = CHANGES[what]
    edit(root / file, change)
    assert facts(root) != before


def test_a_constrained_search_is_another_one(root: Path) -> None:
    assert len({str(facts(root, slack=slack)) for slack in (None, 0.1, 0.2)}) == 3


def test_the_code_of_a_familys_own_loss_counts(root: Path) -> None:
    loss = root / "ablations" / "losses" / "mine.py"
    text = (
        "from study.losses import Loss, register\n\n\n"
        "@register('mine')\nclass Mine(Loss):\n    terms = {'square': 1.0, 'absolute': 0.5}\n\n"
        "    def compute(self, prediction, target):\n"
        "        gap = prediction - target\n"
        "        return {'square': gap.square().mean(), 'absolute': gap.abs().mean()}\n"
    )
    loss.write_text(text)
    (root / "ablations" / "mine.yaml").write_text(
        "description: two norms\nloss: {name: mine, file: ablations/losses/mine.py}\n"
    )
    family = {"arm": "mine", "weights": {"absolute": {"low": 1, "high": 9}}}
    edit(root / "ablations" / "search_space.yaml", lambda space: space["families"].update(mine=family))
    own = facts(root, ("mine",))
    before = own["families"]["mine"]["template"]["code"]
    assert before != facts(root)["families"]["anti_average"]["template"]["code"]
    assert own["code"] == facts(root)["code"]
