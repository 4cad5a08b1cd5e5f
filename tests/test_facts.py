"""Facts of a comparison: which code made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from study.facts import revision


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("changed", ["params.yaml", "study/losses/new.py", "ablations/own.yaml"])
def test_the_revision_is_the_commit_and_tells_of_changed_code_and_settings_alone(tmp_path: Path, changed: str) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "params.yaml").write_text("one: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "arms.csv").write_text("written by the pipeline itself")
    assert revision(tmp_path) == commit
    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / changed).write_text("another")
    assert revision(tmp_path) == f"{commit} with uncommitted changes"


def test_outside_a_checkout_the_revision_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revision(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert revision(tmp_path) == "unknown"
