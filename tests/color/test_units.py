"""Wrong units warn, once; right ones never do: gray, dark, tiny, predicted, traced."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.color import rgb2lab
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from study.color import bins, lab, rgb_to_lab, units
from study.color.units import TargetWatch, UnitWarning, UnitWatch, wrong_ab, wrong_lab, wrong_lightness, wrong_rgb

SIDE = 8  # of pictures just large enough to be looked at


@st.composite
def pictures(draw) -> Tensor:
    """sRGB pictures (1,3,S,S) in 0..1 of random 8-bit levels: any colours, or dark, pale, gray ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = sorted(draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    colors = rng.integers(low, high + 1, (3, SIDE, SIDE))
    kind = draw(st.sampled_from(["any", "dark", "pale", "gray"]))
    levels = {
        "any": colors,
        "dark": colors // 16,
        "pale": 128 + colors // 32,
        "gray": np.broadcast_to(colors[:1], colors.shape),
    }
    return torch.from_numpy(np.ascontiguousarray(levels[kind])[None]).float() / 255


def in_lab(rgb: Tensor) -> Tensor:
    """Raw Lab units by scikit-image."""
    return torch.from_numpy(rgb2lab(rgb.numpy().astype(np.float64), channel_axis=1)).float()


def kind_of(mistake: units.Mistake | None) -> str | None:
    return None if mistake is None else mistake.kind


@given(pictures())
def test_pictures_in_the_right_units_are_never_reported(rgb: Tensor) -> None:
    assert wrong_rgb(rgb) is None
    assert wrong_rgb(1.2 * rgb - 0.1) is None  # as resampling may overshoot
    colors = in_lab(rgb)
    assert wrong_lightness(colors) is None or colors[:, 0].max() <= 1.1
    strongest = colors[:, 1:].abs().max()
    if strongest <= 0.25 or strongest > 1.1:  # else it has no visible colour, but is not gray
        assert wrong_lab(colors) is None
        assert wrong_ab(colors[:, 1:]) is None


@given(pictures())
def test_pictures_in_other_units_are_reported_by_kind(rgb: Tensor) -> None:
    assume(rgb.max() > 10 / 255)
    assert kind_of(wrong_rgb(255 * rgb)) == "rgb in 0..255"
    if rgb.min() < 0.24:
        assert kind_of(wrong_rgb(2 * rgb - 1)) == "rgb in -1..1"
    raw = in_lab(rgb)
    light, ab = raw[:, :1], raw[:, 1:]
    many = len(set(map(tuple, ab.flatten(2)[0].T.tolist()))) > 40  # few may be noise around gray
    if many and 32.1 < ab.abs().max() < 110:
        for scale in (110, 128):
            assert kind_of(wrong_ab(ab / scale)) == "ab in -1..1"
            assert kind_of(wrong_lab(torch.cat([light + 2, ab / scale], 1))) == "ab in -1..1"
        assert kind_of(wrong_lab(torch.cat([light / 100, ab], 1))) == "L in 0..1"
        if light.max() > 51:
            assert kind_of(wrong_lab(torch.cat([light / 100, ab / 110], 1))) == "L in 0..1"
        if light.min() < 29:
            assert kind_of(wrong_lab(torch.cat([light - 50, ab], 1))) == "L in -50..50"
    if ab.max() > 25:
        assert kind_of(wrong_ab(ab + 128)) == "ab in 0..255"
        assert kind_of(wrong_lab(torch.cat([2.55 * light, ab + 128], 1))) == "8-bit Lab"


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("level", [0, 1, 3, 100, 254])
def test_even_grays_and_black_with_noise_of_one_level_pass(channel: int, level: int) -> None:
    rgb = torch.full((1, 3, 64, 64), float(level))
    rgb[:, channel] += torch.randint(0, 2, (64, 64), generator=torch.Generator().manual_seed(0))
    assert wrong_lab(in_lab(rgb / 255)) is None


def test_no_8_bit_color_is_as_dark_and_as_colorful_as_what_is_reported() -> None:
    levels = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), -1).reshape(1, -1, 1, 3) / 255
    colors = rgb2lab(levels).reshape(-1, 3)
    dark = colors[colors[:, 0] <= 1.1]
    assert len(dark) > 100
    assert np.abs(dark[:, 1:]).max() < 25


def test_values_that_are_no_numbers_are_not_judged() -> None:
    for judge in (wrong_rgb, wrong_lab, wrong_lightness):
        assert judge(torch.full((1, 3, SIDE, SIDE), torch.nan)) is None


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions' watches as in a new process."""
    monkeypatch.setattr(lab, "_RGB", UnitWatch("rgb_to_lab", wrong_rgb))
    monkeypatch.setattr(lab, "_LAB", UnitWatch("lab_to_rgb", wrong_lightness))
    monkeypatch.setattr(bins, "_AB", UnitWatch("soft_encode", wrong_ab))


def colors(seed: int = 0, side: int = SIDE) -> Tensor:
    """Random sRGB pictures (2,3,side,side) in 0..1."""
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def warned(*calls: Callable[[], object]) -> list[str]:
    """The unit warnings of some calls, one after the other."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in calls:
            call()
    return [str(item.message) for item in caught if item.category is UnitWarning]


@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        (lab.rgb_to_lab, lambda c: c, [lambda c: 255 * c, lambda c: 2 * c - 1]),
        (lab.lab_to_rgb, rgb_to_lab, [lambda c: rgb_to_lab(c) / 100]),
        (bins.soft_encode, lambda c: rgb_to_lab(c)[:, 1:], [lambda c: rgb_to_lab(c)[:, 1:] / 110]),
        (bins.prior_from_ab, lambda c: rgb_to_lab(c)[:, 1:], [lambda c: rgb_to_lab(c)[:, 1:] / 128]),
    ],
)
def test_a_function_warns_once_for_each_kind_of_mistake(fresh, function, right, wrong) -> None:
    given_right, given_wrong = right(colors()), [make(colors()) for make in wrong]
    assert warned(lambda: function(given_right)) == []
    for colors_of_kind in given_wrong:
        (says,) = warned(*[lambda x=colors_of_kind: function(x)] * 2, lambda x=colors_of_kind: function(x.half()))
        found = colors_of_kind if function is lab.rgb_to_lab else colors_of_kind[:, -2:]
        assert f"{found.min().item():.3g}..{found.max().item():.3g}" in says
    assert warned(lambda: function(given_right), lambda: function(given_wrong[0])) == []


def test_what_may_be_meant_never_warns(fresh) -> None:
    gray = colors()[:, :1].expand(-1, 3, -1, -1)
    for rgb in (0.05 * colors(), gray, 0.01 * gray, torch.zeros(2, 3, 8, 8), colors(side=5) * 0.004):
        raw = rgb_to_lab(rgb)
        assert warned(lambda rgb=rgb: lab.rgb_to_lab(rgb), lambda raw=raw: lab.lab_to_rgb(raw)) == []
        assert warned(lambda raw=raw: bins.soft_encode(raw[:, 1:])) == []
    untrained = torch.cat([rgb_to_lab(colors())[:, :1], 0.3 * torch.randn(2, 2, 8, 8)], 1)
    asks = (0.01 * untrained).requires_grad_()
    tiny = torch.rand(1, 2, 7, 9)
    assert warned(lambda: lab.lab_to_rgb(untrained), lambda: lab.lab_to_rgb(asks), lambda: bins.soft_encode(tiny)) == []
    assert warned(lambda: lab.rgb_to_lab((255 * colors()).to(torch.uint8))) == []


def test_nothing_is_looked_at_while_torch_traces_or_without_values(fresh, monkeypatch) -> None:
    monkeypatch.setattr(units, "_range", lambda colors: pytest.fail("a look"))
    wrong = 255 * colors()
    torch.compile(lab.rgb_to_lab, backend="eager", fullgraph=True)(wrong)
    torch.vmap(lambda one: lab.rgb_to_lab(one[None]))(wrong)
    torch.jit.trace(lab.rgb_to_lab, wrong, check_trace=False)
    with FakeTensorMode() as mode:
        lab.rgb_to_lab(mode.from_tensor(wrong))
    lab.rgb_to_lab(wrong.to("meta"))


def test_one_vivid_pixel_between_those_looked_at_is_found_before_a_warning(fresh) -> None:
    ab = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    assert len(warned(lambda: bins.soft_encode(ab))) == 1
    bins._AB.told.clear()
    ab[0, 0, 33, 33] = 40.0
    assert warned(lambda: bins.soft_encode(ab)) == []


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many values each look has read."""
    read = []

    def counted(seen: Tensor) -> units.Range:
        read.append(seen.numel())
        return measure(seen)

    measure = units._range
    monkeypatch.setattr(units, "_range", counted)
    return read


def test_looks_are_few_and_small(looks: list[int]) -> None:
    watch = UnitWatch("function", wrong_rgb)
    for _ in range(units._LOOKS + 5):
        watch.look(torch.zeros(1, 3, 8, 8))
    assert len(looks) == units._LOOKS
    looks.clear()
    UnitWatch("function", wrong_rgb).look(torch.zeros(40, 3, 100, 300))
    assert len(looks) == 1 and 3 * 1000 < looks[0] <= 3 * 2048


def test_another_device_is_waited_for_a_few_times_only(looks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "legible", lambda colors: True)

    class OnCard:
        """What a look takes from a tensor on a card."""

        device, shape = torch.device("cuda"), (1, 3, 8, 8)

        def __getitem__(self, part: object) -> Tensor:
            return torch.zeros(self.shape)

    watch = UnitWatch("function", wrong_rgb)
    for _ in range(20):
        watch.look(OnCard())
    assert len(looks) == units._LOOKS_ELSEWHERE
    watch.look(torch.zeros(1, 3, 8, 8))
    assert len(looks) == units._LOOKS_ELSEWHERE + 1


def test_a_loss_looks_until_a_target_has_visible_color(looks: list[int]) -> None:
    watch = TargetWatch("loss")
    gray, vivid = torch.zeros(2, 2, 8, 8), 50 * torch.rand(2, 2, 8, 8)
    for _ in range(3):
        watch.look(gray)
    before = len(looks)
    watch.look(vivid)
    watch.look(vivid / 110)
    assert before >= 3 and len(looks) == before + 2  # one judges, one finds visible colour
    always_gray = TargetWatch("loss")
    assert warned(*[lambda: always_gray.look(gray)] * 30, lambda: always_gray.look(vivid / 110)) == []
    assert always_gray.looks == 0
