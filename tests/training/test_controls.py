"""Controls are the networks of another arm times one gain; tuned arms are what the search wrote down."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from study.analysis.evaluate import evaluate, load_test_set
from study.color.lab import rgb_to_lab
from study.config.arms import load_arm
from study.data.prepare import prepare
from study.errors import StudyError
from study.metrics import ab_distance, mean_chroma
from study.models import Colorizer
from study.project import Project
from study.training.executor import run_cells
from study.training.networks import load_network
from tests.conftest import TINY_STUDY, write_params


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test trained, no other trains again."""
    return tmp_path_factory.mktemp("cells")


@pytest.fixture
def project(root: Path, cells: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("STUDY_CELLS", str(cells))
    own = Project.open(root)
    prepare("tiny", own.study("tiny"), root)
    return own


def networks(project: Project, *arms: str, seed: int = 0) -> list[Colorizer]:
    cells = project.cells("tiny", project.arms("tiny", arms), [seed])
    run_cells(cells, project.store, jobs=1)
    return [load_network(project.store.path(cell.signature), Path()) for cell in cells]


def lab(project: Project, split: str) -> torch.Tensor:
    return rgb_to_lab(torch.from_numpy(project.prepared("tiny").images(split).transpose(0, 3, 1, 2).copy()))


@torch.no_grad()
def colors(model: Colorizer, pictures: torch.Tensor) -> torch.Tensor:
    return model.predict(pictures[:, :1])


def test_gray_paints_nothing_and_gains_match_the_chroma_of_truth_or_arm(project: Project) -> None:
    mse, published, gray, as_arm, as_truth = networks(
        project, "mse", "anti_average", "gray", "mse_gain", "mse_gain_truth"
    )
    val = lab(project, "val")
    chroma = {name: float(mean_chroma(colors(model, val)).mean()) for name, model in
              {"mse": mse, "published": published, "as_arm": as_arm, "as_truth": as_truth}.items()}  # fmt: skip
    assert torch.equal(colors(gray, val), torch.zeros_like(val[:, 1:]))
    assert chroma["as_arm"] == pytest.approx(chroma["published"], rel=1e-4)
    assert chroma["as_truth"] == pytest.approx(float(mean_chroma(val[:, 1:]).mean()), rel=1e-4)
    assert chroma["mse"] != pytest.approx(chroma["published"], rel=1e-4)


def test_a_control_has_the_hues_of_its_source(project: Project) -> None:
    mse, vivid = networks(project, "mse", "mse_gain_truth")
    test = lab(project, "test")
    before, after = colors(mse, test), colors(vivid, test)
    gain = after.norm() / before.norm()
    torch.testing.assert_close(after, before * gain, rtol=1e-3, atol=1e-3)


def test_a_lift_matches_the_chroma_of_the_truth_and_a_transport_comes_nearer_to_its_colors(project: Project) -> None:
    mse, lift, half, whole = networks(project, "mse", "mse_lift", "mse_transport_half", "mse_transport")
    val = lab(project, "val")
    true = float(mean_chroma(val[:, 1:]).mean())
    assert float(mean_chroma(colors(lift, val)).mean()) == pytest.approx(true, rel=0.01)
    assert len({cell.signature for cell in project.cells("tiny", project.arms("tiny", ("mse_lift", "mse_gain_truth",
                "mse_transport", "mse_transport_half")), [0])}) == 4  # fmt: skip
    flat = [one.movedim(1, -1).reshape(-1, 2) for one in (val[:, 1:], *(colors(m, val) for m in (mse, half, whole)))]
    start, middle, end = (ab_distance(one, flat[0]) for one in flat[1:])
    assert end < middle < start and end < start / 2


@pytest.mark.parametrize(
    "wrong", ["match: gray, by: lift", "match: truth, by: gain, strength: 0.5", "match: truth, by: x"]
)
def test_a_rule_that_fits_no_control_is_refused(project: Project, wrong: str) -> None:
    (project.root / "ablations" / "odd.yaml").write_text(f"description: x\ncontrol: {{of: mse, {wrong}}}\n")
    with pytest.raises(StudyError, match=r"^ablations/odd.yaml: control"):
        load_arm(project.root, "odd")


def test_a_control_follows_its_sources_signatures(project: Project) -> None:
    (control,) = project.cells("tiny", project.arms("tiny", ("mse_gain",)), [0])
    assert [source.arm.name for source in control.sources] == ["mse", "anti_average"]
    path = project.root / "ablations" / "anti_average.yaml"
    path.write_text(path.read_text().replace("confidence: 1.0", "confidence: 1.5"))
    (changed,) = project.cells("tiny", project.arms("tiny", ("mse_gain",)), [0])
    assert changed.signature != control.signature
    assert changed.sources[0].signature == control.sources[0].signature


@pytest.mark.parametrize(("match", "follows"), [("zhang", True), ("anti_average", False)])
def test_a_control_follows_the_decoding_of_an_arm_that_it_matches_and_that_predicts_bins(
    project: Project, match: str, follows: bool
) -> None:
    arms = project.root / "ablations"
    (arms / "matched.yaml").write_text(f"description: x\ncontrol: {{of: mse, match: {match}}}\n")
    (before,) = project.cells("tiny", project.arms("tiny", ("matched",)), [0])
    file = arms / f"{match}.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"decode": {"temperature": 0.1}}))
    (after,) = project.cells("tiny", project.arms("tiny", ("matched",)), [0])
    assert [source.signature for source in after.sources] == [source.signature for source in before.sources]
    assert (after.signature != before.signature) == follows


def test_a_control_goes_through_the_pipeline_like_any_arm(project: Project) -> None:
    from study.training.store import collect

    (arm,) = project.arms("tiny", ("gray",))
    cells = project.cells("tiny", [arm], [0, 1])
    run_cells(cells, project.store, jobs=1)
    collect(cells, project.store, project.results("tiny") / "runs" / "gray")
    scores = evaluate(project, "tiny", arm).scores
    assert (scores.loc[(scores["metric"] == "chroma") & (scores["region"] == "all"), "value"] == 0).all()
    truth = load_test_set(project, "tiny").lab[:, 1:]
    expected = truth.square().mean((1, 2, 3)).sqrt().double().mean()
    rmse = scores.loc[(scores["metric"] == "ab_rmse") & (scores["region"] == "all"), "value"]
    assert rmse.mean() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("description: x\ncontrol: {of: zhang, match: truth}", "zhang predicts bins"),
        ("description: x\ncontrol: {of: mse}", "match: missing"),
        ("description: x\ncontrol: {of: gray, match: truth}", "must be an arm that is trained"),
        ("description: x\ncontrol: {of: nothing, match: truth}", "control.of: unknown arm 'nothing'; known: "),
        ("description: x\ncontrol: {of: mse, match: nothing}", "unknown arm 'nothing'"),
        ("description: x\nloss: {name: mse}\ncontrol: {of: mse, match: truth}", "loss: unknown key"),
    ],
)
def test_a_control_that_cannot_be_made_is_told_in_one_line(project: Project, text: str, says: str) -> None:
    (project.root / "ablations" / "odd.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        networks(project, "odd")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_gain_for_a_network_that_paints_gray_is_told_in_one_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STUDY_CELLS")  # cells of its own, to spoil
    project = Project.open(project.root)
    (mse,) = project.cells("tiny", project.arms("tiny", ("mse",)), [0])
    run_cells([mse], project.store, jobs=1)
    weights = project.store.path(mse.signature) / "model.pt"
    state = torch.load(weights)
    torch.save(state | {name: torch.zeros_like(state[name]) for name in ("head.weight", "head.bias")}, weights)
    with pytest.raises(StudyError, match=r"^mse_gain_truth seed 0: mse paints every validation picture gray"):
        networks(project, "mse_gain_truth")


FOUND = {"weights": {"lab": 1.0, "confidence": 12.5}, "options": {}, "decode": {}, "train": {"learning_rate": 1e-3}}


def write_best(project: Project, **families: dict) -> None:
    folder = project.results("tiny") / "search"
    folder.mkdir(parents=True)
    found = {"data": project.prepared("tiny").manifest["data_hash"], "families": families}
    (folder / "best.yaml").write_text(yaml.safe_dump(found))


def test_a_tuned_arm_takes_what_the_search_found(project: Project) -> None:
    sharp = {"weights": {}, "options": {"rebalance": 0.25}, "decode": {"temperature": 0.2}, "train": {}}
    write_best(project, anti_average={"recommended": FOUND}, zhang={"recommended": sharp})
    regression, classification = project.arms("tiny", ("anti_average_tuned", "zhang_tuned"))
    assert regression.loss.weights == {"lab": 1.0, "confidence": 12.5}
    assert classification.loss.options["rebalance"] == 0.25
    assert classification.decode.temperature == 0.2
    (cell,) = project.cells("tiny", [regression], [0])
    assert cell.train.learning_rate == 1e-3
    assert cell.train.images == TINY_STUDY["train"]["images"]
    mse, fast = project.cells("tiny", project.arms("tiny", ("mse",)), [0]), cell
    assert mse[0].signature != fast.signature


def test_a_tuned_arm_before_the_search_says_what_to_run(project: Project) -> None:
    with pytest.raises(StudyError, match="not searched on tiny yet: run study search tiny"):
        project.arms("tiny", ("anti_average_tuned",))
    write_best(project, zhang={"recommended": FOUND})
    with pytest.raises(StudyError, match="no recommended point of anti_average"):
        project.arms("tiny", ("anti_average_tuned",))


def test_weights_that_were_searched_on_other_data_are_not_taken(project: Project) -> None:
    write_best(project, anti_average={"recommended": FOUND})
    assert project.searched("tiny")
    pipeline = {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"}
    changed = TINY_STUDY | {"data": TINY_STUDY["data"] | {"seed": 2}}
    write_params(project.root, {"pipeline": pipeline, "studies": {"tiny": changed}})
    other = Project.open(project.root)
    prepare("tiny", other.study("tiny"), other.root)
    assert not other.searched("tiny")  # `study plan` lists the arm as waiting
    with pytest.raises(StudyError, match="searched on other data than tiny has now: run study search tiny"):
        other.arms("tiny", ("anti_average_tuned",))


def test_tuned_arms_are_known_where_no_data_are_prepared(project: Project) -> None:
    write_best(project, anti_average={"recommended": FOUND})
    shutil.rmtree(project.root / "data")
    (arm,) = project.arms("tiny", ("anti_average_tuned",))
    assert arm.loss.weights == FOUND["weights"]


def test_tuned_arms_belong_to_the_studies_that_are_searched(root: Path) -> None:
    searched = TINY_STUDY | {"search": {"trials": 2}}
    pipeline = {"studies": ["tiny", "other"], "arms": ["mse"], "baseline": "mse", "search": ["tiny"],
                "tuned": ["anti_average_tuned"]}  # fmt: skip
    own = TINY_STUDY | {"arms": ["mse", "huber"]}
    outside = TINY_STUDY | {"search": {"trials": 2}}
    few = TINY_STUDY | {"search": {"trials": 2, "families": ["mse"]}}
    studies = {"tiny": searched, "other": TINY_STUDY, "third": own, "outside": outside, "few": few}
    write_params(root, {"pipeline": pipeline, "studies": studies})
    project = Project.open(root)
    assert project.arm_names("outside") == ["mse", "anti_average_tuned"]  # that is what `study run outside` trains
    assert project.arm_names("few") == ["mse"]
    assert project.arm_names("tiny") == ["mse", "anti_average_tuned"]
    assert project.arm_names("other") == ["mse"]
    assert project.arm_names("third") == ["mse", "huber"]
    assert load_arm(root, "anti_average_tuned").tuned.family == "anti_average"
