"""Why the arms came out as they did: theory, gradients, the three terms' parts, convergence and training length."""

from __future__ import annotations

from study.explain.convergence import convergence_rows
from study.explain.factorial import factorial_arms, factorial_rows
from study.explain.ledger import ledger_rows
from study.explain.lengths import companion_studies, length_rows, rank_agreement
from study.explain.predictions import theory_rows

__all__ = [
    "companion_studies",
    "convergence_rows",
    "factorial_arms",
    "factorial_rows",
    "ledger_rows",
    "length_rows",
    "rank_agreement",
    "theory_rows",
]
