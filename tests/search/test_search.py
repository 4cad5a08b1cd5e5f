"""A search end to end: the same whatever the number of jobs, honest about what it found, and survivor of any kill."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml

from study.errors import StudyError
from study.project import Project
from study.search import fingerprints, search
from study.search.front import hypervolume, knee, non_dominated
from study.search.objectives import METRICS, OBJECTIVES
from study.search.runner import Search
from study.search.storage import open_storage
from tests.search.conftest import make_project

FILES = ("trials.csv", "finalists.csv", "best.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose search has run with two jobs."""
    own = make_project(tmp_path_factory.mktemp("searched"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STUDY_CELLS", raising=False)
        search(own, "tiny", jobs=2, report=lambda line: None)
    return own


def found(project: Project, name: str) -> Path:
    return project.results("tiny") / "search" / name


def trials(project: Project) -> pd.DataFrame:
    return pd.read_csv(found(project, "trials.csv"))


def stored(project: Project) -> dict[tuple[str, int], list[optuna.trial.FrozenTrial]]:
    """All finished trials in the storage, by family and candidate."""
    finished: dict[tuple[str, int], list[optuna.trial.FrozenTrial]] = {}
    with open_storage(project.root, "tiny", None) as storage:
        for name in optuna.get_all_study_names(storage.optuna):
            for trial in optuna.load_study(study_name=name, storage=storage.optuna).trials:
                if trial.state == optuna.trial.TrialState.COMPLETE:
                    finished.setdefault((name.split()[1], trial.user_attrs["candidate"]), []).append(trial)
    return finished


def test_one_job_finds_what_two_jobs_find(project: Project, tmp_path: Path) -> None:
    alone = make_project(tmp_path / "alone")
    search(alone, "tiny", jobs=1, report=lambda line: None)
    for name in FILES:
        assert found(alone, name).read_text() == found(project, name).read_text()


def test_a_finished_search_is_only_written_anew(project: Project) -> None:
    before = {path.name: path.read_bytes() for path in found(project, "").iterdir()}
    log = (project.root / ".search" / "tiny.log").read_bytes()
    cells = {path: path.stat().st_mtime_ns for path in project.store.folder.rglob("*")}
    lines: list[str] = []
    search(project, "tiny", jobs=2, report=lines.append)
    assert {path.name: path.read_bytes() for path in found(project, "").iterdir()} == before
    assert (project.root / ".search" / "tiny.log").read_bytes() == log
    assert {path: path.stat().st_mtime_ns for path in project.store.folder.rglob("*")} == cells
    assert lines == []


def content(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in found(project, "").iterdir()}


def test_a_family_that_is_searched_alone_leaves_the_others_as_they_are(project: Project) -> None:
    before = content(project)
    search(project, "tiny", jobs=1, families=["zhang"], report=lambda line: None)
    assert content(project) == before


def test_a_family_alone_with_another_budget_than_the_others_is_refused(project: Project) -> None:
    before = content(project)
    with pytest.raises(StudyError, match=r"has 6 candidates of anti_average, .*: search with --trials 6, or"):
        search(project, "tiny", jobs=1, families=["zhang"], trials=3, report=lambda line: None)
    assert content(project) == before


def test_a_family_alone_is_refused_where_the_others_are_of_other_code(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(project)
    (tmp_path / "stats.py").write_text("changed = True\n")
    monkeypatch.setattr(fingerprints, "FINALISTS", (tmp_path / "stats.py",))
    with pytest.raises(StudyError, match="has of anti_average is of other code"):
        search(project, "tiny", jobs=1, families=["zhang"], report=lambda line: None)
    assert content(project) == before


def test_searched_again_a_family_is_judged_anew_and_trained_never(project: Project) -> None:
    before, lines = content(project), []
    cells = {path: path.stat().st_mtime_ns for path in project.store.folder.rglob("*")}
    search(project, "tiny", jobs=1, families=["zhang"], report=lines.append, again=True)
    assert [line.split(";")[0] for line in lines[:2]] == ["zhang: 3 of 6 candidates", "zhang: 6 of 6 candidates"]
    assert content(project) == before  # the time that the trainings took included
    assert {path: path.stat().st_mtime_ns for path in project.store.folder.rglob("*")} == cells


def test_the_enqueued_points_come_first(project: Project) -> None:
    table = trials(project)
    enqueued = table[table["enqueued"].notna()]
    assert enqueued[["family", "trial", "enqueued"]].values.tolist() == [
        ["anti_average", 0, "published weights"],
        ["anti_average", 1, "plain MSE"],
        ["zhang", 0, "published"],
    ]
    assert enqueued["w_saturation"].tolist()[:2] == [0.01, 0]
    assert enqueued["d_temperature"].tolist()[2] == 0.38


def test_every_family_gets_the_same_budget_and_networks_are_shared(project: Project) -> None:
    table = trials(project)
    assert table.groupby("family")["trial"].apply(list).to_dict() == {name: list(range(6)) for name in table["family"]}
    facts = json.loads(found(project, "search.json").read_text())
    zhang = table[table["family"] == "zhang"]
    most_seeds = zhang.fillna({"o_rebalance": "none"}).groupby("o_rebalance")["seeds"].max()
    assert facts["families"]["zhang"]["judged_networks"] == most_seeds.sum()
    assert facts["budget"]["trials"] == 6
    assert facts["budget"]["images"] == 96


def test_objectives_follow_from_the_metrics(project: Project) -> None:
    table, facts = trials(project), json.loads(found(project, "search.json").read_text())
    assert table["fidelity"].tolist() == table["ab_rmse"].tolist()
    one_seed = table[table["seeds"] == 1]
    expected = (
        (one_seed["chroma_ratio"] - 1).abs() + (one_seed["colorfulness"] / facts["truth"]["colorfulness"] - 1).abs()
    ) / 2
    assert one_seed["vividness"].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    # A picture's gap is at least the gap of the means.
    assert (table["diversity"] >= (table["hue_diversity"] - facts["truth"]["hue_diversity"]).abs() - 1e-7).all()


def test_front_and_named_finalists_are_those_of_the_table(project: Project) -> None:
    best = yaml.safe_load(found(project, "best.yaml").read_text())["families"]
    for family, table in trials(project).groupby("family"):
        full = table[table["seeds"] == 2]
        on_front = full["trial"][non_dominated(full[list(OBJECTIVES)].to_numpy())].tolist()
        assert table["trial"][table["front"] == "yes"].tolist() == on_front
        front = table[table["front"] == "yes"]
        assert best[family]["knee"]["trial"] == front["trial"].iloc[knee(front[list(OBJECTIVES)].to_numpy())]
        assert best[family]["vivid"]["trial"] == front["trial"][front["vividness"].idxmin()]


def test_a_candidate_with_fewer_seeds_was_worse_everywhere(project: Project) -> None:
    known = stored(project)
    table = trials(project)
    assert (table["seeds"].eq(1) == table["stopped"].eq("dominated")).all()
    for row in table[table["stopped"] == "dominated"].itertuples():
        ((own,),) = (trial.user_attrs["scores"] for trial in known[row.family, row.trial])
        others = [trial.user_attrs["scores"][0] for (family, _), (trial,) in known.items() if family == row.family]
        assert any(all(other[name] < own[name] for name in OBJECTIVES) for other in others)


def test_seeds_are_added_only_while_a_candidate_is_not_clearly_dominated(tmp_path: Path) -> None:
    own = make_project(tmp_path / "stopped", batch=1)
    with open_storage(own.root, "tiny", None) as storage:
        running = Search(own, "tiny", own.study("tiny").search, 1, storage, lambda line: None)
        family = running.open("anti_average")
        first, second, third = (family.claim(budget=3, batch=1)[0] for _ in range(3))
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


def test_finalists_have_honest_scores_from_seeds_of_their_own(project: Project) -> None:
    facts = json.loads(found(project, "search.json").read_text())
    assert not set(facts["budget"]["search_seeds"]) & set(facts["budget"]["fresh_seeds"])
    assert not set(facts["budget"]["fresh_seeds"]) & set(project.study("tiny").seeds)
    table = pd.read_csv(found(project, "finalists.csv"))
    assert set(table["metric"]) == {*OBJECTIVES, *METRICS}
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["honest"]).all()
    assert (known["honest"] <= known["high"]).all()
    judged = trials(project).set_index(["family", "trial"])
    for row in table.dropna(subset=["trial"]).itertuples():
        assert row.tuned == pytest.approx(judged.loc[(row.family, row.trial), row.metric], rel=1e-6)
    networks = {}
    for folder in project.store.folder.iterdir():
        if (folder / "record.json").exists():
            record = json.loads((folder / "record.json").read_text())
            networks.setdefault(record["images"], set()).add(record["seed"])
    assert networks == {96: {10_000, 10_001}, 256: {20_000, 20_001}}


def test_the_tuned_arm_takes_what_is_recommended(project: Project) -> None:
    best = yaml.safe_load(found(project, "best.yaml").read_text())["families"]["anti_average"]["recommended"]
    (arm,) = project.arms("tiny", ("anti_average_tuned",))
    assert arm.loss.weights == best["weights"]
    (zhang,) = project.arms("tiny", ("zhang_tuned",))
    recommended = yaml.safe_load(found(project, "best.yaml").read_text())["families"]["zhang"]["recommended"]
    assert zhang.decode.temperature == recommended["decode"]["temperature"]
    assert zhang.loss.options["rebalance"] == recommended["options"]["rebalance"]


def test_the_recommendation_is_no_further_from_the_truths_chroma_than_any_finalist(project: Project) -> None:
    for points in yaml.safe_load(found(project, "best.yaml").read_text())["families"].values():
        gaps = {name: abs(point["honest"]["chroma_ratio"] - 1) for name, point in points.items()}
        assert gaps["recommended"] <= max(0.03, min(gaps.values())) + 1e-9


def test_hypervolume_grows_and_is_that_of_the_scaled_objectives(project: Project) -> None:
    facts, table = json.loads(found(project, "search.json").read_text()), trials(project)
    best, worst = (np.array(list(facts[key].values())) for key in ("ideal_point", "reference_point"))
    for name, family in facts["families"].items():
        history = family["hypervolume"]
        assert history == sorted(history)
        values = table[(table["family"] == name) & (table["seeds"] == 2)][list(OBJECTIVES)].to_numpy()
        assert history[-1] == pytest.approx(hypervolume((values - best) / (worst - best), np.ones(3)), rel=1e-5)
        assert all(sum(shares.values()) == pytest.approx(1) for shares in family["importance"].values())


def test_the_sentence_says_what_the_numbers_say(project: Project) -> None:
    facts = json.loads(found(project, "search.json").read_text())
    use, plain = facts["answer"]["use"], facts["baseline"]["honest"]
    honest = facts["families"][use["family"]]["choices"]["recommended"]["honest"]
    price = round(100 * (honest["ab_rmse"]["mean"] / plain["ab_rmse"]["mean"] - 1))
    assert f"On tiny use {use['family']} with {use['settings']}:" in facts["sentence"]
    mean, low, high = (f"{100 * honest['chroma_ratio'][key]:.0f}" for key in ("mean", "low", "high"))
    said = f"the 2 fresh seeds that chose it, it restores {mean} % of the chroma (95 % interval {low} to {high} %)"
    assert said in facts["sentence"]
    assert f"{abs(price)} % {'more' if price > 0 else 'less'} ab RMSE" in facts["sentence"]


def test_it_is_told_how_many_steps_were_taken_and_where_they_led(project: Project) -> None:
    facts = json.loads(found(project, "search.json").read_text())
    counts = {name: family["step_count"] for name, family in facts["families"].items()}
    assert counts == {name: len(family["steps"]) for name, family in facts["families"].items()}
    says = facts["budget"]["says"]
    assert f"(anti_average {counts['anti_average']}, zhang {counts['zhang']})" in says
    zhang = facts["families"]["zhang"]
    temperature = zhang["choices"]["recommended"]["decode"]["temperature"]
    beyond = {"temperature": {"value": temperature, "low": 0.05, "high": 1.0}} if temperature < 0.05 else {}
    assert zhang["outside"] == beyond
    told = f"temperature of zhang has left the searched 0.05 to 1 by such steps and is {temperature:g}"
    assert (told in says) == bool(beyond)
    told = f"temperature {temperature:g} (outside the searched 0.05 to 1):"
    assert (told in facts["sentences"]["zhang"]) == bool(beyond)


def test_more_trials_go_on_from_what_is_there(project: Project, tmp_path: Path) -> None:
    fewer = make_project(tmp_path / "fewer")
    search(fewer, "tiny", jobs=2, trials=3, families=["zhang"], report=lambda line: None)
    first = trials(fewer)
    assert first["trial"].tolist() == [0, 1, 2]
    search(fewer, "tiny", jobs=2, families=["zhang"], report=lambda line: None)
    expected = trials(project)[trials(project)["family"] == "zhang"].dropna(axis=1, how="all").reset_index(drop=True)
    scored = ["trial", "seeds", *OBJECTIVES, *METRICS]
    pd.testing.assert_frame_equal(trials(fewer)[scored], expected[scored])
    pd.testing.assert_frame_equal(trials(fewer)[scored].head(3), first[scored])


def test_constrained_search_keeps_results_apart_and_the_limits(project: Project) -> None:
    before = found(project, "best.yaml").read_text()
    facts = search(
        project, "tiny", jobs=2, trials=4, families=["anti_average"], objective="constrained", report=lambda line: None
    )
    assert found(project, "best.yaml").read_text() == before
    folder = project.results("tiny") / "search_constrained"
    assert len(pd.read_csv(folder / "trials.csv")) == 4
    assert facts["objective"] == {"constrained": {"slack": 0.1}}
    limit = facts["baseline"]["honest"]
    choices = facts["families"]["anti_average"]["choices"]

    def within(choice: dict) -> bool:
        honest = choice["honest"]
        cheap = honest["ab_rmse"]["mean"] <= 1.1 * limit["ab_rmse"]["mean"]
        return cheap and honest["diversity"]["mean"] <= limit["diversity"]["mean"]

    kept = [choice for choice in choices.values() if within(choice)]
    if kept:
        most_vivid = min(choice["honest"]["vividness"]["mean"] for choice in kept)
        assert choices["recommended"]["honest"]["vividness"]["mean"] == most_vivid


def test_a_diverging_candidate_is_on_record_and_the_search_goes_on(tmp_path: Path) -> None:
    own = make_project(tmp_path / "exploding", families=["wild"], trials=5, seeds=1)
    (own.root / "ablations" / "losses" / "wild.py").write_text(
        "from study.losses import Loss, register\n\n\n"
        "@register('wild')\nclass Wild(Loss):\n    terms = {'calm': 1.0, 'wild': 1.0}\n\n"
        "    def compute(self, prediction, target):\n"
        "        calm = (prediction - target).square().mean()\n"
        "        return {'calm': calm, 'wild': calm * (1e30 if self.weights['wild'] > 1 else 1.0) ** 3}\n"
    )
    (own.root / "ablations" / "wild.yaml").write_text(
        "description: overflows at large weights\nloss: {name: wild, file: ablations/losses/wild.py}\n"
    )
    (own.root / "ablations" / "search_space.yaml").write_text(
        "families:\n  wild:\n    arm: wild\n    weights: {wild: {low: 0.1, high: 10}}\n"
        "    enqueue: [{name: too much, weights: {wild: 5}}, {name: fine, weights: {wild: 0.5}}]\n"
    )
    facts = search(own, "tiny", jobs=1, report=lambda line: None)
    table = trials(own)
    assert (table["state"] == "diverged").tolist() == (table["w_wild"] > 1).tolist()
    assert table["state"][0] == "diverged"
    assert table[table["state"] == "diverged"]["fidelity"].isna().all()
    assert (table[table["state"] == "diverged"]["front"] == "no").all()
    assert facts["families"]["wild"]["diverged"] == (table["state"] == "diverged").sum()
    assert facts["families"]["wild"]["choices"]["recommended"]["weights"]["wild"] <= 1.0


def test_mistakes_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    own = make_project(tmp_path / "wrong", families=["anti_average", "nobody"])
    with pytest.raises(StudyError, match="unknown family 'nobody'"):
        search(own, "tiny", jobs=1)
    assert not own.store.folder.exists()
    with pytest.raises(StudyError, match="only PostgreSQL is shared"):
        search(own, "tiny", jobs=1, storage="sqlite:///trials.db")
    params = yaml.safe_load((own.root / "params.yaml").read_text())
    params["studies"]["tiny"]["seeds"] = [0, 20_001]
    (own.root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(StudyError, match="seed 20001 of tiny is one that the search needs"):
        search(Project.open(own.root), "tiny", jobs=1)
    del params["studies"]["tiny"]["search"]
    (own.root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(StudyError, match="no search block"):
        search(Project.open(own.root), "tiny", jobs=1)


# `make soak` raises it to twenty.
KILLS = int(os.environ.get("STUDY_TEST_KILLS", "2"))


def test_sigkill_at_random_moments_loses_and_doubles_no_trial(project: Project, tmp_path: Path) -> None:
    settings = {} if KILLS < 20 else {"families": ["anti_average"], "trials": 30}
    undisturbed, own = project, make_project(tmp_path / "killed", **settings)
    if settings:
        undisturbed = make_project(tmp_path / "undisturbed", **settings)
        search(undisturbed, "tiny", jobs=2, report=lambda line: None)
    command = [sys.executable, "-m", "study", "search", "tiny", "--jobs", "1"]
    rng = random.Random(0)
    log = own.root / ".search" / "tiny.log"
    finished: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for _ in range(KILLS):
        run = subprocess.Popen(
            command, cwd=own.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        # Let it write a random number of lines to its journal, so that it is hit while it proposes, judges or tells.
        goal = size(log) + rng.randrange(1, size(undisturbed.root / ".search" / "tiny.log") // (KILLS + 1))
        deadline = time.monotonic() + 60
        while run.poll() is None and size(log) < goal and time.monotonic() < deadline:
            time.sleep(rng.random() * 0.01)
        assert run.poll() is None, run.stderr.read().decode()
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        now = {key: [tuple(trial.values) for trial in found_] for key, found_ in stored(own).items()}
        assert all(now[key] == values for key, values in finished.items())
        finished = now
    done = subprocess.run(command, cwd=own.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = stored(own)
    assert set(after) == {(row.family, row.trial) for row in trials(undisturbed).itertuples()}
    assert all(len(same) == 1 for same in after.values())
    for name in FILES:
        assert found(own, name).read_text() == found(undisturbed, name).read_text()


def size(log: Path) -> int:
    """Lines of the journal."""
    return log.read_bytes().count(b"\n") if log.exists() else 0
