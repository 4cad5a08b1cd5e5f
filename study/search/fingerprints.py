"""The code that decides what a search finds. Its digests are part of what the search remembers its findings under.

So findings of code that has changed since are found anew, and changed words in comments, in a docstring or in the
results cost nothing. Networks have signatures of their own: judging candidates anew trains none of them again.
"""

from __future__ import annotations

from pathlib import Path

from study.training.fingerprint import PACKAGE, code_digest

HERE = Path(__file__).parent

# What is proposed and how it is judged, beyond the code of the candidates' networks, which is in their signatures.
TRIALS = (
    *(HERE / name for name in ("candidates.py", "front.py", "objectives.py", "runner.py", "space.py")),
    PACKAGE / "statistics.py",
)
# What becomes of judged candidates: finalists, their intervals, steps, and what is recommended.
FINALISTS = (HERE / "finalists.py", PACKAGE / "metrics" / "registry.py", PACKAGE / "statistics.py")


def trials_digest(device: str) -> str:
    """Digest (hex) of the code that decides the candidates and their scores on `device`."""
    return code_digest(TRIALS, device)


def finalists_digest(device: str) -> str:
    """Digest (hex) of the code that on `device` decides, from the candidates, the finalists and their scores."""
    return code_digest(FINALISTS, device)
