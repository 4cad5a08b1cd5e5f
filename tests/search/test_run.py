"""What `study search` does with its arguments and with what is there already; with training that takes no time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from study.config.arms import Arm
from study.errors import StudyError
from study.project import Project
from study.search import storage, whole
from study.search.objectives import METRICS, OBJECTIVES
from study.search.run import search
from study.search.runner import Search
from study.search.schemas import FINALISTS, TRIALS
from study.tables import read_table
from tests.search.conftest import make_project
from tests.search.fake import FakeScorer


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "Scorer", FakeScorer)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("run"))


@pytest.fixture
def own(template: Project, tmp_path: Path) -> Project:
    return Project.open(shutil.copytree(template.root, tmp_path / "own"))


judge = Search.judge_batch


def quiet(line: str) -> None:
    pass


def trials(project: Project, folder: str = "search") -> pd.DataFrame:
    return read_table(project.results("tiny") / folder / "trials.csv", TRIALS)


def change(project: Project, **settings: object) -> Project:
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    params["studies"]["tiny"]["search"] |= settings
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    return Project.open(project.root)


def test_more_trials_go_on_from_what_is_there(own: Project) -> None:
    search(own, "tiny", jobs=1, trials=3, families=["zhang"], report=quiet)
    first = trials(own)
    assert first["trial"].tolist() == [0, 1, 2]
    search(own, "tiny", jobs=1, families=["zhang"], report=quiet)
    scored = ["trial", "seeds", *OBJECTIVES, *METRICS]
    pd.testing.assert_frame_equal(trials(own)[scored].head(3), first[scored])
    more = trials(own)
    shutil.rmtree(own.root / ".search")
    shutil.rmtree(own.results("tiny"))
    search(own, "tiny", jobs=1, families=["zhang"], report=quiet)
    pd.testing.assert_frame_equal(trials(own), more)


def test_changed_settings_and_missing_files_are_searched_for_anew(own: Project) -> None:
    search(own, "tiny", jobs=1, report=quiet)
    shutil.rmtree(own.root / ".search")
    changed = change(own, trials=5, finalists=1)
    search(changed, "tiny", jobs=1, report=quiet)
    assert trials(changed)["trial"].tolist() == [*range(5), *range(5)]
    for name in ("trials.csv", "search.json"):
        (changed.results("tiny") / "search" / name).unlink()
        search(changed, "tiny", jobs=1, report=quiet)
        assert (changed.results("tiny") / "search" / name).is_file()
    (changed.results("tiny") / "search" / "search.json").write_text("{")
    assert search(changed, "tiny", jobs=1, report=quiet)["budget"]["trials"] == 5


def test_a_file_that_a_person_put_into_the_results_is_refused_before_any_work_and_kept(own: Project) -> None:
    search(own, "tiny", jobs=1, report=quiet)
    mine = own.results("tiny") / "search" / "notes.txt"
    mine.write_text("mine")
    shutil.rmtree(own.root / ".search")
    with pytest.raises(StudyError, match=r"notes\.txt"):
        search(own, "tiny", jobs=1, report=quiet, again=True)
    assert mine.read_text() == "mine"
    assert not (own.root / ".search").exists()


def test_on_a_shared_storage_a_process_claims_no_more_than_it_trains_at_once(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage._Embedded, "alone", False)
    sizes = []
    monkeypatch.setattr(
        Search, "judge_batch", lambda self, batch, finished: sizes.append(len(batch)) or judge(self, batch, finished)
    )
    search(own, "tiny", jobs=2, families=["zhang"], report=quiet)
    assert sizes == [2, 2, 2]
    assert trials(own)["trial"].tolist() == list(range(6))


def test_seeds_are_added_only_while_a_candidate_is_not_clearly_dominated(own: Project) -> None:
    with storage.open_storage(own.root, "tiny", None) as opened:
        scorer = FakeScorer(own, "tiny", 1)
        running = Search(own, "tiny", own.study("tiny").search, scorer, opened, quiet, ("", ""))
        first, second, third = running.open("anti_average").claim(budget=3, batch=3)
        running.settings = running.settings.model_copy(update={"batch": 1})
        running.judge_batch([first], [])
        assert len(first.scores) == 2
        perfect, best = dict.fromkeys(OBJECTIVES, 0.0), dict.fromkeys(OBJECTIVES, 1e-6)
        first.scores, third.scores, third.index = [perfect, best], [best, perfect], 0
        running.judge_batch([second], [first, third])
        assert len(second.scores) == len(second.seconds) == 1
        noisy = dict.fromkeys(OBJECTIVES, 1e6)
        first.scores, third.scores, second.scores, second.seconds = [perfect, noisy], [noisy, perfect], [], []
        running.judge_batch([second], [first, third])
        assert len(second.scores) == 2


def test_constrained_search_keeps_its_results_apart(own: Project) -> None:
    search(own, "tiny", jobs=1, report=quiet)
    before = (own.results("tiny") / "search" / "best.yaml").read_text()
    facts = search(own, "tiny", jobs=1, trials=4, families=["anti_average"], objective="constrained", report=quiet)
    assert (own.results("tiny") / "search" / "best.yaml").read_text() == before
    assert len(trials(own, "search_constrained")) == 4
    assert facts["objective"] == {"constrained": {"slack": 0.1}}


class Overflowing(FakeScorer):
    """Strong confidence terms diverge."""

    def _scores(self, arm: Arm, seed: int, full: bool) -> dict | None:
        return None if arm.loss.weights.get("confidence", 0.0) > 5 else super()._scores(arm, seed, full)


def test_diverging_candidates_are_on_record_and_the_search_goes_on(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "Scorer", Overflowing)
    own = change(own, families=["anti_average"], trials=16)
    family = search(own, "tiny", jobs=1, report=quiet)["families"]["anti_average"]
    table = trials(own)
    lost = table[table["w_confidence"] > 5]
    assert 0 < len(lost) < len(table)
    assert (lost["state"] == "diverged").all()
    assert (table["state"] == "diverged").sum() == family["diverged"] == len(lost)
    assert lost["fidelity"].isna().all()
    assert not lost["front"].any()
    assert family["choices"]["recommended"]["weights"]["confidence"] <= 5
    if family["region"]:
        assert family["region"]["w_confidence"]["high"] <= 9


class Nothing(FakeScorer):
    """Everything diverges but the baseline."""

    def _scores(self, arm: Arm, seed: int, full: bool) -> dict | None:
        return super()._scores(arm, seed, full) if arm.name == "mse" else None


def test_where_every_candidate_diverges_there_is_no_answer_and_readable_files(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "Scorer", Nothing)
    facts = search(own, "tiny", jobs=1, report=quiet)
    assert facts["sentence"] == ""
    assert (trials(own)["state"] == "diverged").all()
    assert read_table(own.results("tiny") / "search" / "finalists.csv", FINALISTS).empty


def test_mistakes_are_named_before_anything_is_searched(own: Project) -> None:
    with pytest.raises(StudyError, match="nobody"):
        search(own, "tiny", jobs=1, families=["anti_average", "nobody"])
    with pytest.raises(StudyError, match="postgresql://"):
        search(own, "tiny", jobs=1, storage="sqlite:///trials.db")
    assert not (own.root / ".search").exists()
    params = yaml.safe_load((own.root / "params.yaml").read_text())
    params["studies"]["tiny"]["seeds"] = [0, 20_001]
    (own.root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(StudyError, match="20001"):
        search(Project.open(own.root), "tiny", jobs=1)
    del params["studies"]["tiny"]["search"]
    (own.root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(StudyError, match=r"params\.yaml"):
        search(Project.open(own.root), "tiny", jobs=1)
