"""The commands, run as people run them: every mistake gets one line and a non-zero exit, and nothing is lost."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from study.cli import main
from study.files import sha256_file
from study.project import Project
from study.training import executor
from tests.conftest import REPOSITORY, TINY_STUDY, write_failing_arm, write_params

COMMANDS = (
    "list", "plan", "doctor", "check", "run", "prepare", "search", "train", "time", "evaluate", "compare", "report",
    "track",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def study(*arguments: str, cwd: Path, **environment: str) -> Done:
    """Run a command as `study ARGUMENTS` does, but in this process: importing torch anew each time takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            main(list(arguments))
            code = 0
        except SystemExit as leave:
            code = leave.code
    return Done(code, out.getvalue(), err.getvalue())


def fails(*arguments: str, cwd: Path, **environment: str) -> str:
    """The one line that a failing command prints."""
    done = study(*arguments, cwd=cwd, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("study: ")
    return lines[0]


def one_study(root: Path, arms: Sequence[str] = ("mse", "zhang"), **changes: object) -> None:
    pipeline = {"studies": ["tiny"], "arms": [*arms], "baseline": "mse" if "mse" in arms else arms[0]}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY | changes}})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose tiny study went through every step."""
    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(REPOSITORY / "ablations", root / "ablations")
    (root / ".git").mkdir()
    one_study(root)
    for step in ("prepare", "train", "time", "evaluate", "compare", "track", "report"):
        done = study(step, "tiny", cwd=root)
        assert done.returncode == 0, f"{step}: {done.stderr}"
    return root


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of that project, to change."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_every_step_leaves_what_the_next_and_the_reader_need(trained: Path) -> None:
    results = trained / "results" / "tiny"
    names = {"arms", "paired", "seeds", "regions", "curves", "cells", "cost", "metrics", "claims"}
    names |= {"theory", "gradients", "factorial", "convergence", "lengths"}
    assert {path.stem for path in (results / "tables").glob("*.csv")} >= names
    assert (trained / "reports" / "tiny" / "index.html").stat().st_size > 10_000
    assert (trained / "reports" / "tiny" / "report.md").exists()
    assert (trained / "reports" / "index.html").exists()
    assert (trained / "mlflow.db").exists()
    facts = json.loads((results / "tables" / "study.json").read_text())
    assert facts["lpips"]["measured"] is False and facts["lpips"]["reason"]


def test_plan_and_list_tell_the_state(trained: Path) -> None:
    plan = study("plan", "tiny", cwd=trained)
    assert plan.stdout.count("finished") == 4
    listed = study("list", cwd=trained).stdout
    for word in ("tiny", "anti_average", "zhang", "colorfulness"):
        assert word in listed


def test_plan_tells_what_waits_for_a_search_and_what_is_made_of_other_arms(trained: Path) -> None:
    done = study("plan", "tiny", "mse", "anti_average_tuned", "mse_gain", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"mse_gain +seed \d", done.stdout)) == 2
    assert re.search(r"anti_average_tuned .*study search tiny", done.stdout)
    assert "minutes" not in done.stdout  # nothing is to be trained


def test_an_arm_of_a_family_that_was_not_searched_waits_for_its_weights(copy: Path) -> None:
    (copy / "results" / "tiny" / "search").mkdir()
    data = json.loads((copy / "data" / "tiny" / "manifest.json").read_text())["data_hash"]
    (copy / "results" / "tiny" / "search" / "best.yaml").write_text(f"data: {data}\nfamilies: {{zhang: {{}}}}\n")
    done = study("plan", "tiny", "mse", "anti_average_tuned", cwd=copy)
    assert re.search(r"anti_average_tuned .*study search tiny", done.stdout), done.stderr


def test_a_claim_about_an_arm_that_does_not_exist_is_told_in_one_line(copy: Path) -> None:
    claims = copy / "ablations" / "claims.yaml"
    claims.write_text(claims.read_text().replace("arm: saturation\n", "arm: saturatoin\n"))
    line = fails("compare", "tiny", cwd=copy)
    assert "saturation_term" in line and "'saturatoin'" in line
    assert "'saturatoin'" in study("doctor", cwd=copy).stdout


def test_doctor_finds_nothing_amiss(trained: Path) -> None:
    done = study("doctor", cwd=trained)
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


def test_the_installed_command_and_python_m_study_are_the_same(trained: Path) -> None:
    beside = Path(sys.executable).with_name("study")
    installed = subprocess.run([beside, "plan", "paris"], cwd=trained, capture_output=True, text=True, check=False)
    assert (installed.returncode, installed.stderr) == (1, fails("plan", "paris", cwd=trained) + "\n")
    module = [sys.executable, "-m", "study", "list"]
    listed = subprocess.run(module, cwd=trained, capture_output=True, text=True, check=True).stdout
    assert listed == study("list", cwd=trained).stdout


def test_help_is_there_for_every_command(trained: Path) -> None:
    for command in COMMANDS:
        done = study(command, "--help", cwd=trained)
        assert done.returncode == 0
        assert f"study {command}" in done.stdout.splitlines()[-1]  # the help ends with an example


def test_help_needs_none_of_the_large_libraries(tmp_path: Path) -> None:
    code = "import sys; from study.cli import main; main(['--help'])\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("  Example: study")
    assert {"click", "study.cli"} <= set(done.stderr.split())
    assert not {"torch", "numpy", "pandas", "pydantic", "yaml", "optuna", "mlflow"} & set(done.stderr.split())


@pytest.mark.parametrize("command", ["plan", "prepare", "train", "time", "evaluate", "compare", "report", "track"])
def test_unknown_study(trained: Path, command: str) -> None:
    line = fails(command, "tinny", cwd=trained)
    assert "'tinny'" in line and "'tiny'" in line


def test_a_mistyped_command_names_the_nearest(trained: Path) -> None:
    done = study("trian", "tiny", cwd=trained)
    assert done.returncode == 2 and "'train'" in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_arm_is_told_and_leaves_the_results_alone(trained: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.rglob("*") if path.is_file())
    arms = trained / "ablations"
    cases = {
        "negative": ("{name: anti_average, weights: {lab: -1}}", "loss.weights.lab"),
        "unknown_key": ("{name: anti_average, gain: 2}", "loss.gain"),
        "unknown_term": ("{name: anti_average, weights: {vividness: 1}}", "'vividness'"),
        "unknown_loss": ("{name: magic}", "'magic'"),
        "unknown_option": ("{name: anti_average, options: {unit: raw}}", "'unit'"),
    }
    for name, (loss, expected) in cases.items():
        (arms / f"{name}.yaml").write_text(f"description: x\nloss: {loss}\n")
        assert expected in fails("train", "tiny", name, cwd=trained)
        (arms / f"{name}.yaml").unlink()
    assert "'sepia'" in fails("train", "tiny", "sepia", cwd=trained)
    assert before == sorted((path, path.stat().st_mtime_ns) for path in trained.rglob("*") if path.is_file())


def test_an_arm_that_fails_keeps_no_other_from_the_report_and_is_told_at_the_end(copy: Path) -> None:
    write_failing_arm(copy)
    one_study(copy, ["failing", "mse", "huber"])
    line = fails("run", "tiny", cwd=copy)
    assert "failing seed 1" in line and "RuntimeError: no such luck" in line
    assert line.endswith("study train tiny failing")
    table = pd.read_csv(copy / "results" / "tiny" / "tables" / "cells.csv")
    assert dict(zip(table["arm"], table["status"], strict=True)) == {
        "failing": "missing", "mse": "finished", "huber": "finished",
    }  # fmt: skip
    assert "huber" in (copy / "reports" / "tiny" / "report.md").read_text()


def test_what_cannot_go_on_without_an_arm_ends_the_run_and_all_of_it_is_told(root: Path) -> None:
    write_failing_arm(root)
    one_study(root, ["failing", "huber"])
    line = fails("run", "tiny", cwd=root)
    assert "failing seed 0" in line and "RuntimeError" in line and "study train tiny failing" in line
    assert (root / "results" / "tiny" / "runs" / "huber" / "seed-1" / "model.pt").exists()
    assert not (root / "reports").exists()


def test_a_tuned_arm_notes_the_search_that_it_was_trained_with_not_one_that_ended_meanwhile(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_study(root)
    assert study("prepare", "tiny", cwd=root).returncode == 0
    best = root / "results" / "tiny" / "search" / "best.yaml"
    best.parent.mkdir(parents=True)
    found = {"weights": {"lab": 1.0}, "options": {}, "decode": {}, "train": {}}
    content = {
        "data": Project.open(root).prepared("tiny").manifest["data_hash"],
        "families": {"anti_average": {"recommended": found}},
    }
    best.write_text(yaml.safe_dump(content))
    before = sha256_file(best)[:16]
    run_cells = executor.run_cells

    def search_ends(*arguments: object) -> object:
        best.write_text(yaml.safe_dump(content | {"more": "trials"}))
        return run_cells(*arguments)

    monkeypatch.setattr(executor, "run_cells", search_ends)
    done = study("train", "tiny", "anti_average_tuned", "--jobs", "1", cwd=root)
    assert done.returncode == 0, done.stderr
    record = root / "results" / "tiny" / "runs" / "anti_average_tuned" / "seed-0" / "record.json"
    assert json.loads(record.read_text())["search"] == before


def test_outdated_and_missing_cells_are_listed_with_the_command_that_fixes_them(copy: Path) -> None:
    arm = copy / "ablations" / "zhang.yaml"
    arm.write_text(arm.read_text().replace("rebalance: 0.5", "rebalance: 0.9"))
    done = study("compare", "tiny", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("zhang seed") == 2
    assert "outdated" in done.stdout
    assert "run: study train tiny zhang\n" in done.stdout
    assert "zhang" not in (copy / "results" / "tiny" / "tables" / "arms.csv").read_text()


def test_scores_of_other_test_pictures_or_scoring_code_do_not_count(copy: Path) -> None:
    one_study(copy, data=TINY_STUDY["data"] | {"test": 20})
    assert study("prepare", "tiny", cwd=copy).returncode == 0
    assert "study evaluate tiny mse" in fails("compare", "tiny", cwd=copy)
    assert study("evaluate", "tiny", "mse", cwd=copy).returncode == 0
    told = study("compare", "tiny", cwd=copy).stdout
    assert told.count("study evaluate tiny zhang") == 2


def test_strict_compare_fails_when_a_claim_no_longer_holds_and_writes_the_tables_all_the_same(copy: Path) -> None:
    table = copy / "results" / "tiny" / "tables" / "claims.csv"
    sound = table.read_text()
    assert study("compare", "tiny", "--strict", cwd=copy).returncode == 0
    assert table.read_text() == sound
    claims = pd.read_csv(table, dtype=str, keep_default_na=False)
    claims.loc[claims["id"] == "lpips_improves", "verdict"] = "confirmed"  # without LPIPS it cannot be
    claims.to_csv(table, index=False)
    line = fails("compare", "tiny", "--strict", cwd=copy)
    assert "lpips_improves (not testable)" in line
    assert table.read_text() == sound


def test_another_decoding_needs_a_new_evaluation_but_no_training(copy: Path) -> None:
    arm = copy / "ablations" / "zhang.yaml"
    arm.write_text(arm.read_text().replace("temperature: 0.38", "temperature: 0.6"))
    assert study("compare", "tiny", cwd=copy).stdout.count("study evaluate tiny zhang") == 2
    before = json.loads((copy / "results/tiny/metrics/zhang.json").read_text())
    done = study("evaluate", "tiny", "zhang", cwd=copy)
    assert done.returncode == 0, done.stderr
    after = json.loads((copy / "results/tiny/metrics/zhang.json").read_text())
    assert abs(after["chroma"] - before["chroma"]) > 0.01
    assert "left out" not in study("compare", "tiny", cwd=copy).stdout


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (("prepare", "tiny", "--again"), "data/tiny"),
        (("train", "tiny", "mse"), "results/tiny/runs/mse/seed-0"),
        (("report", "tiny"), "reports/tiny/figures"),
        (("track", "tiny", "mse", "--tensorboard"), "tensorboard/tiny/mse/seed-0"),
    ],
)
def test_a_file_that_a_person_put_where_a_step_replaces_a_folder_is_refused_and_kept(
    trained: Path, tmp_path: Path, command: tuple[str, ...], folder: str
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(trained, root)
    if not (root / folder).exists():
        assert study(*command, cwd=root).returncode == 0
    mine = root / folder / "mine.png"
    mine.write_bytes(b"mine")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert "mine.png" in fails(*command, cwd=root)
    assert before == {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"
    }


def test_steps_in_the_wrong_order_say_what_to_run_first(root: Path) -> None:
    one_study(root)
    assert "study prepare tiny" in fails("train", "tiny", cwd=root)
    assert study("prepare", "tiny", cwd=root).returncode == 0
    assert "study train tiny mse" in fails("evaluate", "tiny", "mse", cwd=root)
    one_study(root, data=TINY_STUDY["data"] | {"seed": 2})
    assert "study prepare tiny" in fails("train", "tiny", cwd=root)


def test_a_seed_that_is_not_declared(trained: Path) -> None:
    assert "[0, 1]" in fails("train", "tiny", "--seed", "9", cwd=trained)
