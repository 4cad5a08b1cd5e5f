"""Tables with declared columns: what is written comes back with its types, and what is wrong is said in one line."""

import pandas as pd
import pytest

from study.errors import StudyError
from study.tables import Column, Schema, read_table, write_table

SCHEMA = Schema(
    "made",
    "a made-up table",
    (
        Column("arm", "text", "an arm"),
        Column("value", "number", "a value"),
        Column("seeds", "integer", "how many"),
        Column("front", "yes/no", "on the front"),
        Column("verdict", "text", "a word", ("better", "")),
    ),
    "study compare",
    more={"w_": "number", "o_": "text"},
)
ROWS = [
    {"arm": "nan", "value": 1 / 3, "seeds": 6, "front": True, "verdict": "better"},
    {"arm": "1e3", "value": None, "seeds": 2, "front": False},
    {"arm": 'a,"b"', "value": float("inf"), "seeds": 0, "front": True},
]


def path_of(tmp_path):
    return tmp_path / "tiny" / "tables" / "made.csv"


def test_a_table_comes_back_as_it_was_written(tmp_path):
    write_table(path_of(tmp_path), SCHEMA, SCHEMA.frame(ROWS))
    table = read_table(path_of(tmp_path), SCHEMA)
    assert table.columns.tolist() == SCHEMA.names
    assert table["arm"].tolist() == ["nan", "1e3", 'a,"b"']
    assert table["value"].tolist() == pytest.approx([1 / 3, float("nan"), float("inf")], nan_ok=True)
    assert table["seeds"].tolist() == [6, 2, 0] and table["seeds"].dtype.kind == "i"
    assert table["front"].tolist() == [True, False, True] and table["front"].dtype == bool
    assert table["verdict"].tolist() == ["better", "", ""]
    assert "yes" in path_of(tmp_path).read_text()


def test_an_empty_table_has_its_header_and_its_types(tmp_path):
    write_table(path_of(tmp_path), SCHEMA, SCHEMA.frame())
    table = read_table(path_of(tmp_path), SCHEMA)
    assert len(table) == 0 and table["value"].dtype == float and table["front"].dtype == bool


def test_values_that_all_rows_share_fill_a_column_that_the_rows_lack():
    table = SCHEMA.frame([{"value": 1.0, "seeds": 1, "front": False}], arm="mse", verdict="better")
    assert table.loc[0, ["arm", "verdict"]].tolist() == ["mse", "better"]


def test_further_columns_follow_where_the_schema_allows_them(tmp_path):
    frame = SCHEMA.frame([row | {"w_lab": 2, "o_units": "1"} for row in ROWS])
    write_table(path_of(tmp_path), SCHEMA, frame)
    table = read_table(path_of(tmp_path), SCHEMA)
    assert table["w_lab"].tolist() == [2.0] * 3 and table["o_units"].tolist() == ["1"] * 3
    with pytest.raises(ValueError, match="x_lab"):
        SCHEMA.frame([ROWS[0] | {"x_lab": 1}])


@pytest.mark.parametrize(
    ("column", "value"), [("value", "much"), ("seeds", 1.5), ("seeds", None), ("front", "maybe"), ("verdict", "best")]
)
def test_a_value_of_another_type_is_refused(column, value):
    with pytest.raises(ValueError, match=column):
        SCHEMA.frame([ROWS[0] | {column: value}])


def test_columns_that_nobody_declared_are_not_read(tmp_path):
    path = path_of(tmp_path)
    write_table(path, SCHEMA, SCHEMA.frame(ROWS))
    table = pd.read_csv(path, dtype=str, keep_default_na=False).assign(new="1")
    table.to_csv(path, index=False)
    assert "new" not in read_table(path, SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"arm,value\nmse,1\n",
        b"arm,value,seeds,front,verdict\nmse,1,2\n",
        b"arm,value,seeds,front,verdict\nmse,one,2,yes,\n",
        b"arm,value,seeds,front,verdict\nmse,1,2,yes,equivalent\n",
        b"\xff\xfe\x00",
        b'arm,value,seeds,front,verdict\n"mse',
    ],
)
def test_a_missing_or_damaged_table_is_one_line_with_the_command(tmp_path, content):
    path = path_of(tmp_path)
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_table(path, SCHEMA)
    told = str(caught.value)
    assert "\n" not in told and str(path) in told and "study compare tiny" in told
