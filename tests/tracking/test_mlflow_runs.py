"""Settings as MLflow's parameters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from study.tracking.mlflow_runs import flatten_settings

trees = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), trees, max_size=4))
def test_any_settings_become_parameters_that_mlflow_accepts(tree):
    from mlflow.utils.validation import _validate_param

    for key, value in flatten_settings(tree, "arm").items():
        _validate_param(key, value)
        assert len(value) <= 6000


def test_nested_settings_get_names_with_dots():
    tree = {"loss": {"name": "mse", "weights": {"lab": 1.0}, "options": {}}, "odd/name": [1, None]}
    assert flatten_settings(tree, "arm") == {
        "arm.loss.name": "mse",
        "arm.loss.weights.lab": "1.0",
        "arm.loss.options": "{}",
        "arm.odd_name": "[1, null]",
    }
