"""What people write in params.yaml and ablations/: the project's own files are sound, mistakes get one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from study.config.arms import arm_names, load_arm
from study.config.params import load_params
from study.config.yaml_files import read_yaml
from study.errors import StudyError
from study.project import Project
from tests.conftest import REPOSITORY, TINY_STUDY, write_params


def arm_error(root: Path, text: str) -> str:
    (root / "ablations" / "broken.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        load_arm(root, "broken")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def params_error(root: Path, **changes: object) -> str:
    params = yaml.safe_load((root / "params.yaml").read_text())
    for path, value in changes.items():
        block = params
        *parents, last = path.split("__")
        for key in parents:
            block = block[key]
        block[last] = value
    write_params(root, params)
    with pytest.raises(StudyError) as caught:
        load_params(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_projects_own_files_are_valid() -> None:
    params = load_params(REPOSITORY)
    assert set(params.pipeline.arms) <= set(arm_names(REPOSITORY))
    for name in arm_names(REPOSITORY):
        assert load_arm(REPOSITORY, name).description


def test_published_weights_are_the_published_ones() -> None:
    loss = load_arm(REPOSITORY, "anti_average").loss
    assert loss.weights == {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
    assert loss.options.get("units", "raw") == "raw"


LOSS = "description: x\nloss: "


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (LOSS + "{name: anti_average, weigths: {lab: 1}}", "ablations/broken.yaml: loss.weigths: unknown key"),
        *((LOSS + f"{{name: anti_average, weights: {{saturation: {weight}}}}}", "ablations/broken.yaml: loss.weights")
          for weight in ("-0.5", ".nan", ".inf", "heavy", "null")),
        (LOSS + "{name: anti_average}\nloss: {name: huber}", "'loss' is written twice"),
        *((LOSS + f"{{name: own, file: {file}}}", "does not lie in ablations/losses/")
          for file in ("own.py", "ablations/own.py", "ablations/losses/../own.py", "/tmp/own.py")),
        ("description: x\ncontrol: {of: nope, match: truth}", "unknown arm 'nope'; known: anti_average"),
        *((text, "ablations/broken.yaml") for text in ("", "- a list", "loss: [", "\t: x", "description: x")),
    ],
)  # fmt: skip
def test_a_mistake_in_an_arm_is_told_with_its_place(root: Path, text: str, named: str) -> None:
    assert named in arm_error(root, text)


def test_scientific_notation_without_a_point_is_a_number(root: Path) -> None:
    text = "description: x\nloss: {name: anti_average, weights: {lab: 1, saturation: 1e-2}}\n"
    (root / "ablations" / "fine.yaml").write_text(text)
    assert load_arm(root, "fine").loss.weights["saturation"] == 0.01
    params = (root / "params.yaml").read_text()
    assert "images: 256" in params
    (root / "params.yaml").write_text(params.replace("images: 256", "images: 2.56e2"))
    assert load_params(root).studies["tiny"].train.images == 256


def test_unknown_arm_lists_the_known_ones(root: Path) -> None:
    with pytest.raises(StudyError, match=r"unknown arm 'sepia'.*known: .*mse"):
        load_arm(root, "sepia")


def test_arm_names_cannot_leave_the_folder(root: Path) -> None:
    (root / "outside.yaml").write_text("description: x\nloss: {name: huber}\n")
    with pytest.raises(StudyError, match="unknown arm"):
        load_arm(root, "../outside")


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("data", {"train": 96}, "data.source"),
        ("data", "palette_world", "data"),
        ("train__images", "many", "train.images"),
        ("train__images", 1.5, "train.images"),
        ("train__images", 0, "train.images"),
        ("train__images", True, "train.images"),
        ("data__train", 2_000_000, "data.train"),
        ("seeds", [2**31], "seeds.0"),
        ("train__weight_decay", -1, "train.weight_decay"),
        ("train__learning_rate", True, "train.learning_rate"),
        ("train__learning_rate", 5, "train.learning_rate"),
        ("train__warmup", 1, "train.warmup"),
        ("train__keep", "first", "train.keep"),
        ("model__upsampling", "cubic", "model.upsampling"),
        ("model__file", "/tmp/own.py", "model.file"),
        ("train__flip", "maybe", "train.flip"),
        ("seeds", [], "seeds"),
        ("seeds", 3, "seeds"),
        ("seeds", [1, 1], "seeds"),
        ("title", 5, "title"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_written(root: Path, key: str, value: object, place: str) -> None:
    message = params_error(root, **{f"studies__tiny__{key}": value})
    assert message.startswith(f"params.yaml: studies.tiny.{place}: ")
    assert "\n" not in message and "validation error" not in message
    if not isinstance(value, dict | list | bool):
        assert str(value) in message


def test_an_exponent_without_a_point_is_a_number_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("{a: 6e4, b: -1E-3, c: 1.5e3, d: e5, e: 1e, f: 12e4f, g: 1e5 pictures}\n")
    expected = {"a": 6e4, "b": -1e-3, "c": 1.5e3, "d": "e5", "e": "1e", "f": "12e4f", "g": "1e5 pictures"}
    assert read_yaml(path) == expected


def test_lpips_may_be_switched_off_as_the_documentation_writes_it(root: Path) -> None:
    text = (root / "params.yaml").read_text()
    assert "lpips: 'off'" in text
    for written in ("off", "'off'", "Off"):
        (root / "params.yaml").write_text(text.replace("'off'", written))
        assert load_params(root).studies["tiny"].evaluate.lpips == "off"
    assert "evaluate.lpips: must be text (got True)" in params_error(root, studies__tiny__evaluate__lpips=True)


def test_missing_and_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="does not exist"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"description: caf\xe9")
    with pytest.raises(StudyError, match="cannot be read"):
        read_yaml(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"studies__tiny__data__size": 33}, "studies.tiny.data"),
        ({"studies__tiny__data": {"source": "cifar"}}, "palette_world"),
        ({"studies__tiny__evaluate__show": "everything"}, "studies.tiny.evaluate.show"),
        ({"studies__tiny__epochs": 3}, "studies.tiny.epochs"),
        ({"pipeline__baseline": "huber"}, "baseline 'huber' is not among the arms"),
        ({"pipeline__studies": ["paris"]}, "names 'paris'"),
        ({"pipeline__arms": ["mse", "mse"]}, "listed twice in arms"),
        ({"studies__tiny__data": {"source": "folder", "path": "x", "val": 0.6, "test": 0.4}}, "a share for training"),
        ({"pipeline__search": ["paris"]}, "search names 'paris'"),
        ({"pipeline__search": ["tiny"]}, "studies.tiny has no search block"),
        ({"pipeline__tuned": ["mse"]}, "listed twice in arms"),
        ({"pipeline__controls": ["mse"]}, "listed twice in arms"),
        ({"studies__tiny__search": {"trials": 2}}, "name it in pipeline.search too"),
        ({"studies__tiny__arms": ["mse"]}, "cannot be part of the pipeline: run it with study run tiny"),
        ({"studies__tiny__search": {"trials": 0}}, "studies.tiny.search.trials"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(root: Path, changes: dict, says: str) -> None:
    assert says in params_error(root, **changes)


def test_blocks_may_be_shared_by_yaml_merge_keys(tmp_path: Path) -> None:
    (tmp_path / "merged.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_yaml(tmp_path / "merged.yaml")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("place", "name", "right"), [("arms", "gray", "pipeline.controls"), ("controls", "huber", "pipeline.arms")]
)
def test_a_control_in_the_wrong_list_is_told(root: Path, place: str, name: str, right: str) -> None:
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["pipeline"][place] = [*content["pipeline"].get(place, []), name]
    write_params(root, content)
    with pytest.raises(StudyError, match=f"names '{name}', which belongs into {right}"):
        Project.open(root).arm_names("tiny")


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        (["mse", "zhang", "mse"], "studies.tiny.arms: the same arm is listed twice"),
        (["zhang", "huber"], "studies.tiny.arms lacks the baseline mse"),
    ],
)
def test_arms_of_a_study_are_distinct_and_include_the_baseline(root: Path, arms: list[str], says: str) -> None:
    other = TINY_STUDY | {"title": "Another, so that tiny is not part of the pipeline"}
    changes = {"pipeline__studies": ["other"], "studies": {"other": other, "tiny": TINY_STUDY | {"arms": arms}}}
    assert says in params_error(root, **changes)
