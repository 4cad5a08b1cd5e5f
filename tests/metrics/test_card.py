"""What a metric declares, and that declaring it is all it takes to be scored and listed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from study.metrics import METRICS, metric, picture_inputs, scores
from study.metrics.inputs import INPUTS
from tests.conftest import REPOSITORY

WORDS = {"unit": "1", "margin": 0.1, "says": "something", "weakness": "another thing"}


def declared(function, **options):
    return metric(**(WORDS | options))(function).card


def test_every_declaration_is_complete_and_consistent() -> None:
    for name, card in METRICS.items():
        assert card.name == name
        assert card.low < card.high
        assert card.margin > 0
        assert card.better in ("higher", "lower", "target", None)
        assert set(card.needs) <= set(card.takes) <= set(INPUTS)
        for line in (card.says, card.weakness, card.unit):
            assert line.strip() == line != ""
            assert "\n" not in line


def test_tables_show_metrics_in_the_declared_order() -> None:
    assert list(METRICS) == [
        "ab_rmse", "ciede2000", "psnr", "ssim", "auc", "auc_rebalanced", "lpips", "colorfulness", "colorfulness_gap",
        "chroma", "chroma_ratio", "chroma_shortfall", "gray_share", "sepia_cast", "purple_cast", "hue_diversity",
        "hue_diversity_gap", "hue_entropy", "averaging_index", "mode_commitment", "regret",
    ]  # fmt: skip


def test_places_of_key_metrics_are_each_given_once() -> None:
    places = sorted(card.key for card in METRICS.values() if card.key is not None)
    assert places == list(range(1, len(places) + 1))


def test_a_function_stays_what_it_is_and_its_signature_says_what_it_needs() -> None:
    def double(pred_ab, target_ab, prior=None, weights=None, mask=None):
        return 2 * pred_ab

    card = declared(double)
    assert double(3, 4) == 6
    assert (card.name, card.needs) == ("double", ("pred_ab", "target_ab"))
    assert card.takes == ("pred_ab", "target_ab", "prior")
    assert declared(double, name="twice").name == "twice"


def test_inputs_are_given_by_name_and_optional_ones_where_they_exist() -> None:
    card = declared(lambda ab, true_chroma=7.0, mask=None: (ab, true_chroma, mask))
    assert not card.measurable({"rgb": 1})
    assert card.measurable({"ab": 1, "rgb": 2})
    assert card.measure({"ab": 1, "rgb": 2}) == (1, 7.0, None)
    assert card.measure({"ab": 1, "true_chroma": 2.0}, mask="m") == (1, 2.0, "m")


def test_a_need_that_nothing_can_meet_and_a_target_without_its_direction_are_refused() -> None:
    with pytest.raises(ValueError, match="brightness"):
        declared(lambda brightness: brightness)
    for options in ({"better": "target"}, {"better": "lower", "target": 1.0}):
        with pytest.raises(ValueError, match="target"):
            declared(lambda ab: ab, **options)


def test_scores_are_those_of_the_metrics_whose_inputs_exist() -> None:
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(3, 3, 12, 12, generator=generator) * 40 + torch.tensor([30.0, -20, -20]).view(3, 1, 1)
    found = scores(picture_inputs(0.5 * lab[:, 1:], lab))
    without = {"auc_rebalanced", "lpips", "averaging_index", "mode_commitment", "regret"}
    assert set(found) == set(METRICS) - without
    assert all(values.shape == (3,) for values in found.values())
    with_prior = scores(picture_inputs(0.5 * lab[:, 1:], lab) | {"prior": torch.full((313,), 1 / 313)})
    assert set(with_prior) - set(found) == {"auc_rebalanced"}


def test_pictures_are_clipped_to_what_srgb_can_show_at_the_true_lightness() -> None:
    lab = torch.tensor([50.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 12, 12)
    inputs = picture_inputs(torch.full((1, 2, 12, 12), 500.0), lab)
    assert 0 <= inputs["rgb"].min() <= inputs["rgb"].max() <= 1
    assert inputs["pred_lab"][:, 1:].abs().max() < 130
    assert inputs["pred_ab"].max() == 500


def test_one_function_in_one_file_is_a_metric(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "study", tmp_path / "study", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "study" / "metrics" / "redness.py").write_text(
        textwrap.dedent("""
            from study.metrics.card import metric

            @metric(unit="Lab", margin=0.5, says="mean a", weakness="one axis")
            def redness(ab):
                return ab[:, 0].mean((1, 2))
        """)
    )
    code = (
        "import torch; from study.metrics import METRICS, scores; assert list(METRICS)[-1] == 'redness';"
        "print(scores({'ab': torch.full((2, 2, 3, 3), 4.0)})['redness'].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[4.0, 4.0]"
