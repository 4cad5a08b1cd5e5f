"""The tables that `study search` writes to results/<study>/search/: their columns, types and words."""

from __future__ import annotations

from study.tables import Column, Schema

FILES = ("trials.csv", "finalists.csv", "best.yaml", "search.json")
"""What a search writes to its folder."""

_SCORES = (
    Column("fidelity", "number", "ab_rmse, in Lab units"),
    Column("vividness", "number", "gap to the truth's vividness: 0 is as vivid as the truth"),
    Column("diversity", "number", "gap to the truth's hue diversity, mean over pictures"),
    Column("ab_rmse", "number", "error of the colours, in Lab units"),
    Column("chroma_ratio", "number", "mean chroma over the truth's mean chroma"),
    Column("colorfulness", "number", "colorfulness after Hasler and Suesstrunk"),
    Column("hue_diversity", "number", "hue diversity"),
)

TRIALS = Schema(
    "trials",
    "Every candidate of the search, with its scores on the validation pictures",
    (
        Column("family", "text", "family of ablations/search_space.yaml"),
        Column("trial", "integer", "number of the candidate in its family"),
        Column("state", "text", "how its training ended", ("complete", "diverged")),
        *_SCORES,
        Column("seeds", "integer", "seeds on which it was judged without diverging"),
        Column("front", "yes/no", "whether no other candidate is better in all objectives"),
        Column("stopped", "text", "why it got no further seeds; empty when it got all", ("", "dominated")),
        Column("enqueued", "text", "name of the point of search_space.yaml that it is; empty for a proposal"),
    ),
    "study search",
    # Columns of what is searched: weights of terms, options of the loss, decoding and training.
    {"w_": "number", "o_": "text", "d_": "number", "t_": "number"},
)

FINALISTS = Schema(
    "finalists",
    "Finalists, trained again in full on fresh seeds",
    (
        Column("family", "text", "family of ablations/search_space.yaml"),
        Column("choice", "text", "name of the finalist, such as recommended, middle, knee, vivid or faithful"),
        Column("trial", "number", "number of the candidate; empty for a middle that was no candidate"),
        Column("metric", "text", "an objective or a metric"),
        Column("searched", "number", "mean on the search's own seeds; empty for a middle that was no candidate"),
        Column("refit", "number", "mean on the fresh seeds"),
        Column("low", "number", "lower end of its 95 % interval; empty for vividness"),
        Column("high", "number", "upper end of its 95 % interval; empty for vividness"),
        Column("seeds", "integer", "number of fresh seeds"),
    ),
    "study search",
)
