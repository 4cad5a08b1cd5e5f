"""The code that decides what a search finds. Its digests are part of what the search remembers its findings under.

So findings of code that has changed since are found anew, and changed words in comments, in a docstring or in the
results cost nothing. Networks have signatures of their own: judging candidates anew trains none of them again.
"""

from __future__ import annotations

from pathlib import Path

from study.training.fingerprint import code_fingerprint

HERE = Path(__file__).parent


def trials_digest(device: str) -> str:
    """Fingerprint of the code that decides the candidates and their scores on `device`."""
    return code_fingerprint(HERE / "runner.py", device=device)


def finalists_digest(device: str) -> str:
    """Fingerprint of the code that on `device` decides, from the candidates, the finalists and their scores."""
    return code_fingerprint(HERE / "finalists.py", device=device)
