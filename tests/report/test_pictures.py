"""Pictures arrive in a report unchanged, within their budget, under the right heading."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from study.report import captions
from study.report.pictures import colorfulness, contact_sheet, gallery, png
from study.report.reading import load_result


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("gray", [False, True])
def test_a_picture_survives_png_bit_for_bit(gray):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 1 if gray else 3), dtype=np.uint8)
    picture = np.broadcast_to(picture, (16, 16, 3))
    assert (decoded(png(picture)) == picture).all()


def test_every_column_shows_the_picture_of_its_own_arm_and_image(make_results):
    result = load_result(make_results(images=4))
    shown = gallery(result)
    assert shown.columns[:2] == ("gray input", "truth") and shown.columns[2:] == tuple(arm.name for arm in result.arms)
    for row_number, row in enumerate(shown.rows):
        own = result.pictures["strong"]
        assert row.name == own.names[row_number]
        assert (decoded(row.tiles[0].png) == own.gray[row_number]).all()
        assert (decoded(row.tiles[1].png) == own.truth[row_number]).all()
        tile = row.tiles[shown.column_index("strong")]
        assert (decoded(tile.png) == own.prediction[row_number]).all()
        assert base64.b64decode(tile.uri.removeprefix("data:image/png;base64,")) == tile.png


def test_pictures_are_matched_by_name_and_a_missing_one_is_left_out(make_results):
    results = make_results(images=3)
    path = results / "predictions" / "strong.npz"
    with np.load(path) as archive:
        content = {name: archive[name][[2, 0]] for name in archive}
    np.savez(path, **content)
    shown = gallery(load_result(results))
    column = shown.column_index("strong")
    assert [row.tiles[column] is None for row in shown.rows] == [False, True, False]
    assert (decoded(shown.rows[0].tiles[column].png) == content["prediction"][1]).all()


def test_only_as_many_pictures_as_fit_but_always_one(make_results):
    result = load_result(make_results(images=6))
    assert len(gallery(result, budget=1).rows) == 1
    assert gallery(result, budget=1).available == 6
    assert "the first 1 of 6, to keep this page small" in captions.pictures(result, gallery(result, budget=1))[0]
    assert "to keep this page small" not in captions.pictures(result, gallery(result))[0]
    whole = sum(len(tile.png) * 4 // 3 + 100 for row in gallery(result).rows for tile in row.tiles)
    assert len(gallery(result, budget=whole // 2).rows) < 6
    assert len(gallery(result, budget=whole).rows) == 6


def test_without_predictions_there_is_no_gallery(make_results):
    assert gallery(load_result(make_results(images=0))) is None


def test_an_arm_called_truth_does_not_hide_the_truth(make_results):
    arms = (("mse", "mse", {}, 0.5, 11.0, 1.0), ("truth", "mse", {}, 0.6, 11.0, 1.0))
    shown = gallery(load_result(make_results(arms=arms, images=1)))
    assert shown.columns == ("gray input", "truth", "mse", "truth")
    assert shown.column_index("truth") == 3


def test_colorfulness_has_its_known_values():
    def halves(left: tuple, right: tuple) -> np.ndarray:
        picture = np.empty((1, 8, 8, 3), np.uint8)
        picture[:, :, :4], picture[:, :, 4:] = left, right
        return picture

    values = [
        halves((255, 0, 0), (0, 255, 0)),
        halves((255, 255, 0), (0, 0, 255)),
        halves((255, 0, 0), (255, 0, 0)),
        halves((9, 9, 9), (200, 200, 200)),
    ]
    assert colorfulness(np.concatenate(values)) == pytest.approx([293.25, 255.0, 85.5296, 0.0], abs=1e-3)


def test_the_hero_is_the_most_colourful_truth(make_results):
    result = load_result(make_results(images=8))
    truths = result.pictures["mse"].truth
    assert gallery(result).hero == int(colorfulness(truths).argmax())


def test_a_contact_sheet_shows_small_pictures_as_equal_squares(make_results):
    shown = gallery(load_result(make_results(images=3)))
    sheet = decoded(contact_sheet(shown, [1, 2], [0, 2]))
    truth = decoded(shown.rows[0].tiles[1].png)
    factor = 160 // 32
    top = sheet.shape[0] - 2 * (32 * factor + 6)
    assert (sheet[top : top + 32 * factor, 6 : 6 + 32 * factor] == truth.repeat(factor, 0).repeat(factor, 1)).all()
