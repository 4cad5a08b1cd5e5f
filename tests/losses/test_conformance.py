"""`study check`: every arm that ships passes, and every kind of broken loss is caught by the check meant for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from study.color.bins import soft_encode
from study.config.arms import arm_names
from study.errors import StudyError
from study.losses import ClassificationLoss, Loss, MSELoss, check_same_shape
from study.losses.base import common_precision
from study.losses.conformance import check_arm, check_loss
from study.project import Project
from tests.conftest import REPOSITORY
from tests.test_cli import fails, study

MSE = {"lab": 1.0}


def failed(loss: Loss) -> dict[str, str]:
    """What fails, and what was found."""
    return {check.what: check.found for check in check_loss(loss) if not check.passed}


class Squared(Loss):
    """A sound loss, to be broken in one respect."""

    terms = MSE

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        check_same_shape(prediction, target, channels=(2,))
        return self.broken(*common_precision(prediction, target))

    def broken(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"lab": (prediction - target).square().mean()}


class Scaled(torch.autograd.Function):
    """The identity, with `factor` times its gradient."""

    @staticmethod
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.saved_tensors[0].to(grad), None


@pytest.mark.parametrize("name", arm_names(REPOSITORY))
def test_every_arm_that_ships_passes(name: str, root: Path) -> None:
    if name == "anti_average_lpips":  # the same arm, but its trunk needs no weights from the network
        path = root / "ablations" / f"{name}.yaml"
        arm = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(arm | {"loss": arm["loss"] | {"options": {"weights": "untrained"}}}))
    checks = check_arm(Project.open(root), name)
    assert len(checks) == 20
    assert [check for check in checks if not check.passed] == []


def test_a_sound_loss_passes_and_keeps_its_weights() -> None:
    assert failed(Squared()) == {}
    loss = MSELoss()
    loss.set_weights({"lab": 3.5})
    assert failed(loss) == {}
    assert loss.weights == {"lab": 3.5}


def test_a_gradient_that_is_nan_at_gray() -> None:
    class Chroma(Squared):
        def broken(self, prediction, target):
            chroma, true_chroma = (x.square().sum(1).sqrt() for x in (prediction, target))
            return {"lab": (chroma - true_chroma).square().mean()}

    found = failed(Chroma())
    assert set(found) == {"finite, all-gray pictures", "finite, single-coloured-pixel pictures"}
    assert "100% of the gradient is not finite for all-gray prediction, float32" in found["finite, all-gray pictures"]


def test_values_that_overflow_for_extreme_colours() -> None:
    class Exponential(Squared):
        def broken(self, prediction, target):
            return {"lab": ((prediction - target).abs() / 50).exp().mean()}

    found = failed(Exponential())
    assert set(found) == {"finite, extreme pictures"}
    assert "total is inf for extreme prediction, float32" in found["finite, extreme pictures"]


def test_a_spread_that_is_nan_for_a_constant_picture() -> None:
    class Spread(Squared):
        def broken(self, prediction, target):
            lab = super().broken(prediction, target)["lab"]
            return {"lab": lab + (prediction.var((2, 3)).sqrt() - target.var((2, 3)).sqrt()).square().mean()}

    assert set(failed(Spread())) == {"finite, all-gray pictures", "finite, constant pictures"}


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ({"mse": 1.0}, "returned the terms mse; declared are lab"),
        ({"lab": 1.0, "more": 1.0}, "returned the terms lab, more"),
    ],
)
def test_terms_other_than_declared(results: dict[str, float], says: str) -> None:
    class Other(Squared):
        def broken(self, prediction, target):
            lab = super().broken(prediction, target)["lab"]
            return {name: lab * factor for name, factor in results.items()}

    found = failed(Other())
    assert set(found) == {"terms"}
    assert says in found["terms"]


def test_terms_that_are_no_scalars_or_not_finite() -> None:
    class PerPicture(Squared):
        def broken(self, prediction, target):
            return {"lab": (prediction - target).square().mean((1, 2, 3))}

        def total(self, terms):
            return terms["lab"].sum()

    class NotFinite(Squared):
        terms = {"lab": 1.0, "share": 0.0}

        def broken(self, prediction, target):
            return {**super().broken(prediction, target), "share": prediction.new_tensor(float("nan"))}

    assert failed(PerPicture()) == {"terms": "lab must be a floating-point scalar tensor, got (3,)"}
    assert failed(NotFinite()) == {"terms": "share is nan for ordinary pictures"}


def test_weights_that_the_total_does_not_follow() -> None:
    class Fixed(Squared):
        terms = {"lab": 1.0, "absolute": 2.0}

        def broken(self, prediction, target):
            return {**super().broken(prediction, target), "absolute": (prediction - target).abs().mean()}

        def forward(self, prediction, target):
            terms = self.compute(prediction, target)
            return {"total": self.sum_up(terms), **terms}

        def sum_up(self, terms):
            return terms["lab"] + 2.0 * terms["absolute"]

    class Leaking(Fixed):
        def sum_up(self, terms):
            return sum(terms[name] * max(weight, 0.1) for name, weight in self.weights.items())

    assert set(failed(Fixed())) == {"total is the weighted sum", "weight 0 contributes nothing"}
    assert set(failed(Leaking())) == {"weight 0 contributes nothing"}


def test_a_wrong_gradient_of_a_custom_function() -> None:
    class Wrong(Squared):
        factor = torch.tensor(3.0)

        def broken(self, prediction, target):
            return super().broken(Scaled.apply(prediction, self.factor), target)

    class NearlyRight(Wrong):
        factor = torch.tensor([1.0, 0.99]).view(2, 1, 1)

    class Backwards(Wrong):
        factor = torch.tensor(-1.0)

    assert set(failed(Wrong())) == {"gradient is right"}
    assert set(failed(NearlyRight())) == {"gradient is right"}
    assert set(failed(Backwards())) == {"gradient is right", "it can be learned"}


def test_a_wrong_gradient_of_a_term_that_hardly_weighs() -> None:
    class Small(Squared):
        terms = {"lab": 1.0, "absolute": 1e-9}

        def broken(self, prediction, target):
            wrong = Scaled.apply(prediction, torch.tensor(3.0))
            return {**super().broken(prediction, target), "absolute": (wrong - target).abs().mean()}

    found = failed(Small())
    assert set(found) == {"gradient is right"}
    assert "absolute" in found["gradient is right"]


def test_a_right_gradient_with_single_precision_inside_passes() -> None:
    class Single(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction.float(), target.float())

    assert failed(Single()) == {}


def test_gradients_that_do_not_reach_the_prediction() -> None:
    class Detached(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction.detach(), target)

    class FirstOnly(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction[:1], target[:1])

    found = failed(Detached())
    unreached = {"gradient reaches the prediction", "gradient is right", "it can be learned"}
    assert set(found) == {*unreached, "a gradient may be written into"}
    assert "no picture" in found["gradient reaches the prediction"]
    found = failed(FirstOnly())
    assert set(found) == {"gradient reaches the prediction", "batch order does not matter"}
    assert "only 1 of 3 pictures" in found["gradient reaches the prediction"]


def test_dependence_on_the_order_of_the_batch() -> None:
    class Ordered(Squared):
        def broken(self, prediction, target):
            rank = torch.arange(1, len(prediction) + 1).to(prediction).view(-1, 1, 1, 1)
            return {"lab": (rank * (prediction - target).square()).mean()}

    assert set(failed(Ordered())) == {"batch order does not matter"}


def test_results_that_differ_from_call_to_call() -> None:
    class Noisy(Squared):
        def broken(self, prediction, target):
            return super().broken(prediction + 0.01 * torch.randn_like(prediction), target)

    class Drawing(Squared):
        def broken(self, prediction, target):
            torch.rand(3)
            return super().broken(prediction, target)

    class Seeding(Squared):
        def broken(self, prediction, target):
            torch.manual_seed(0)
            return super().broken(prediction + 0.01 * torch.randn(prediction.shape, dtype=prediction.dtype), target)

    assert "for the same pictures" in failed(Noisy())["deterministic"]
    assert set(failed(Drawing())) == {"deterministic"}
    assert "global random numbers" in failed(Seeding())["deterministic"]


@pytest.mark.parametrize("which", ["prediction", "target"])
def test_inputs_that_are_changed_in_place(which: str) -> None:
    class InPlace(Squared):
        def compute(self, prediction, target):
            check_same_shape(prediction, target, channels=(2,))
            (prediction if which == "prediction" else target).mul_(0.5)
            return self.broken(prediction, target)

    assert failed(InPlace()) == {"inputs are left alone": f"the {which} is changed in place (forward pass)"}


def test_shapes_that_are_not_checked() -> None:
    class Unchecked(Squared):
        def compute(self, prediction, target):
            return self.broken(prediction, target)

    class Silent(Squared):
        def compute(self, prediction, target):
            if prediction.shape[1:] != target.shape[1:]:
                raise ValueError(f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}")
            return self.broken(prediction, target)

    class Wordless(Squared):
        def compute(self, prediction, target):
            if prediction.shape != target.shape:
                raise ValueError("shapes differ")
            return self.broken(prediction, target)

    for loss, says in ((Unchecked, "it raised RuntimeError"), (Silent, "no error for"), (Wordless, "does not name")):
        found = failed(loss())
        assert set(found) == {"shapes are checked"}
        assert says in found["shapes are checked"]


def test_a_loss_that_prefers_gray_is_noted_but_does_not_fail() -> None:
    class Muted(Squared):
        def broken(self, prediction, target):
            return {"lab": prediction.square().mean() + 1e-3 * (prediction - target).square().mean()}

    checks = {check.what: check for check in check_loss(Muted())}
    assert checks["it follows the truth"].passed
    assert "note: this loss prefers gray to the truth" in checks["it follows the truth"].found


def test_a_loss_that_leads_away_from_the_truth_or_does_not_look_at_it() -> None:
    class Negative(Squared):
        def broken(self, prediction, target):
            return {"lab": -(prediction - target).square().mean()}

    class NegativeChroma(Squared):  # the opposite hues have the same chroma
        def broken(self, prediction, target):
            chroma, true_chroma = ((x.square().sum(1) + 1).sqrt() for x in (prediction, target))
            return {"lab": -(chroma - true_chroma).abs().mean()}

    class Blind(Squared):
        def broken(self, prediction, target):
            return {"lab": prediction.square().mean()}

    class NegativeLogits(ClassificationLoss):
        def compute(self, prediction, target):
            return {name: -value for name, value in super().compute(prediction, target).items()}

    class Vivid(Squared):  # more colour than the truth has is something that one may want
        def broken(self, prediction, target):
            return {"lab": (prediction - 1.3 * target).square().mean()}

    for loss in (Negative(), NegativeChroma(), NegativeLogits(rebalance=None)):
        found = failed(loss)
        assert set(found) == {"it follows the truth"}
        assert "it leads away from the truth" in found["it follows the truth"]
    assert failed(Blind()) == {"it follows the truth": "the total is the same whatever the target is"}
    assert failed(Vivid()) == {}


def test_parameters_that_nobody_trains() -> None:
    class Learnable(Squared):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def broken(self, prediction, target):
            return {"lab": (self.scale * (prediction - target)).square().mean()}

    class Fixed(Learnable):
        def __init__(self):
            super().__init__()
            self.scale.requires_grad_(False)

    found = failed(Learnable())
    assert set(found) == {"parameters"}
    assert found["parameters"].startswith("the parameter scale asks for a gradient, but only the network is trained")
    assert failed(Fixed()) == {}


@pytest.mark.parametrize(
    ("name", "says"),
    [("lr", "no term may be called lr"), ("total", "no term may be called total"), ("a,b", "is no name of a term")],
)
def test_names_that_terms_may_not_have(name: str, says: str) -> None:
    class Named(Squared):
        terms = {name: 1.0}

        def broken(self, prediction, target):
            return {name: super().broken(prediction, target)["lab"]}

    assert says in failed(Named())["names of the terms"]


@pytest.mark.parametrize("returned", [None, 3.0, "tensor"])
def test_results_that_are_no_dict(returned: object) -> None:
    class Bare(Squared):
        def broken(self, prediction, target):
            return (prediction - target).square().mean() if returned == "tensor" else returned

    kind = "Tensor" if returned == "tensor" else type(returned).__name__
    assert failed(Bare()) == {"terms": f"compute must return a dict of its terms, it returned {kind}"}


def test_logits_and_lab_pictures_are_tried_too() -> None:
    class Logits(Loss):
        head = "bins"
        terms = {"entropy": 1.0}

        def compute(self, prediction, target):
            if prediction.shape[::2] != target.shape[::2] or prediction.shape[3] != target.shape[3]:
                raise ValueError(f"got logits {tuple(prediction.shape)} and target {tuple(target.shape)}")
            nearest = soft_encode(target)[0][:, 0]
            return {"entropy": torch.nn.functional.cross_entropy(prediction.to(target.dtype), nearest)}

    class Lightness(MSELoss):
        needs_lightness = True

    class Impossible(Logits):
        needs_lightness = True

    assert failed(Logits()) == {}
    assert failed(Lightness()) == {}
    assert "head 'ab' only" in failed(Impossible())["input"]


BROKEN = """
from study.losses import Loss, register

@register("sharp")
class Sharp(Loss):
    terms = {"sharp": 1.0}

    def compute(self, prediction, target):
        return {"sharp": (prediction - target).square().sum(1).sqrt().mean()}
"""


def test_the_command_prints_a_line_per_check_and_fails_in_one_line(root: Path) -> None:
    done = study("check", "mse", "zhang", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  ok    ") == 40
    assert "FAIL" not in done.stdout
    (root / "ablations" / "losses" / "sharp.py").write_text(BROKEN)
    (root / "ablations" / "sharp.yaml").write_text(
        "description: x\nloss: {name: sharp, file: ablations/losses/sharp.py}\n"
    )
    done = study("check", "mse", "sharp", cwd=root)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "FAIL" in line]
    # Where both are gray, or both the same, the difference is 0 and the root's slope infinite.
    assert [line.split(":")[0].strip() for line in lines] == [
        "FAIL  finite, all-gray pictures", "FAIL  finite, constant pictures",
        "FAIL  finite, single-coloured-pixel pictures", "FAIL  shapes are checked",
    ]  # fmt: skip
    assert done.stderr == "study: 4 checks failed; each line says what was found\n"


def test_the_command_tells_what_cannot_be_built(root: Path) -> None:
    (root / "ablations" / "odd.yaml").write_text("description: x\nloss: {name: pinball, options: {quantile: 2}}\n")
    (root / "ablations" / "losses" / "crash.py").write_text(
        BROKEN.replace("    def compute", "    def __init__(self):\n        1 / 0\n\n    def compute")
    )
    (root / "ablations" / "crash.yaml").write_text(
        "description: x\nloss: {name: sharp, file: ablations/losses/crash.py}\n"
    )
    (root / "ablations" / "losses" / "bare.py").write_text(
        BROKEN.replace("    def compute", "    def __init__(self):\n        self.eps = 1\n\n    def compute").replace(
            "sharp", "bare"
        )
    )
    (root / "ablations" / "losses" / "leaving.py").write_text("import sys\n\nsys.exit('gone')\n")
    for name in ("bare", "leaving"):
        (root / "ablations" / f"{name}.yaml").write_text(
            f"description: x\nloss: {{name: {name}, file: ablations/losses/{name}.py}}\n"
        )
    done = study("check", "odd", "crash", "bare", "leaving", cwd=root)
    assert "FAIL  it can be built: its __init__ must begin with super().__init__()" in done.stdout
    assert "FAIL  it can be built: SystemExit: gone (leaving.py, line 3)" in done.stdout
    assert "FAIL  it can be built: loss 'pinball': quantile must be above 0 and below 1, got 2" in done.stdout
    assert "FAIL  it can be built: ZeroDivisionError: division by zero (crash.py, line 9)" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "unknown arm 'sepia'" in fails("check", "sepia", cwd=root)
    assert study("check", cwd=root).returncode == 2


def test_the_prior_of_prepared_data_is_used_when_there_is_one(root: Path) -> None:
    import numpy as np

    uniform = {check.what: check.found for check in check_arm(Project.open(root), "zhang")}
    (root / "data" / "some").mkdir(parents=True)
    prior = np.linspace(1, 30, 313)
    np.save(root / "data" / "some" / "prior.npy", prior / prior.sum())
    prepared = {check.what: check.found for check in check_arm(Project.open(root), "zhang")}
    assert uniform["terms"] != prepared["terms"]
    with pytest.raises(StudyError, match="unknown arm"):
        check_arm(Project.open(root), "sepia")


LEARNABLE = """
import torch
from study.losses import Loss, register

@register("learnable")
class Learnable(Loss):
    terms = {"NAME": 1.0}

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()), requires_grad=ASKS)

    def compute(self, prediction, target):
        return {"NAME": self.scale * (prediction - target).square().mean()}
"""


@pytest.mark.parametrize(
    ("name", "asks", "says"),
    [
        ("lab", "True", "loss 'learnable': the parameter scale asks for a gradient"),
        ("lr", "False", "loss 'learnable': no term may be called lr"),
        ("lab", "False", ""),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(root: Path, name: str, asks: str, says: str) -> None:
    own = LEARNABLE.replace("NAME", name).replace("ASKS", asks)
    (root / "ablations" / "losses" / "learnable.py").write_text(own)
    (root / "ablations" / "learnable.yaml").write_text(
        "description: x\nloss: {name: learnable, file: ablations/losses/learnable.py}\n"
    )
    assert study("prepare", "tiny", cwd=root).returncode == 0
    if says:
        assert says in fails("train", "tiny", "learnable", cwd=root)
        assert not (root / ".cells").exists()
    else:
        assert study("plan", "tiny", "learnable", cwd=root).returncode == 0
