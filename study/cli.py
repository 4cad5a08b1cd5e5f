"""The commands. Nothing heavy is imported until a command needs it, and every failure is one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

import click

from study.errors import PartlyDone, StudyError, did_you_mean

# Read by the libraries when they are imported; set here so that no command of ours ever phones home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

STUDY = click.argument("study", metavar="STUDY")
ARMS = click.argument("arms", metavar="[ARM]...", nargs=-1)
JOBS = click.option(
    "--jobs", type=click.IntRange(1), default=None, help="Training runs at once. Default: one per usable core."
)


def project() -> Any:
    """The project around the working directory. Run by DVC, it refuses a folder in which DVC would fail later."""
    from study.project import Project, pipeline_problem

    own = Project.open(Path.cwd())
    if "DVC_ROOT" in os.environ and (problem := pipeline_problem(own.root)):
        raise StudyError(problem)
    return own


def _jobs(wanted: int | None) -> int:
    from study.cores import usable_cores

    return wanted or usable_cores()


class Commands(click.Group):
    """Lists commands in the order of the work, and guesses what a mistyped one was meant to be."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Command names as they were added."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of that name; a usage error that names the nearest one otherwise."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"unknown command {args[0]!r}; {did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


def command(name: str, example: str) -> Any:
    """Decorator of a command; its help ends with an example."""
    return study.command(name, epilog=f"Example: {example}")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: study run smoke")
@click.version_option(package_name="colorization-loss-study")
def study() -> None:
    """Which colorization loss cures sepia, at which weights, and at what cost?

    `dvc repro` runs a whole study. Every step of it is a command here. STUDY is a block of params.yaml. ARM is a file
    of ablations/. Without arms, a command takes all arms of the study.
    """


@command("list", "study list")
def list_() -> None:
    """List the studies, arms, losses, networks and metrics."""
    from study.config.arms import arm_names, load_arm
    from study.losses import loss_names
    from study.metrics import METRICS
    from study.models import model_names

    own = project()
    pipeline = own.params.pipeline
    click.echo("studies (params.yaml)")
    for name, settings in own.params.studies.items():
        click.echo(f" {'*' if name in pipeline.studies else ' '} {name:<26} {settings.title}")
    click.echo("arms (ablations/)")
    for name in arm_names(own.root):
        mark = "*" if name in [*pipeline.arms, *pipeline.controls, *pipeline.tuned] else " "
        click.echo(f" {mark} {name:<26} {load_arm(own.root, name).description}")
    for what, names in (("losses (study/losses/)", loss_names()), ("networks (study/models/)", model_names())):
        click.echo(what)
        for name in names:
            click.echo(f"   {name}")
    click.echo("metrics (study/metrics/)")
    for metric in METRICS.values():
        better = f"better: {metric.target:g}" if metric.better == "target" else f"better: {metric.better}"
        click.echo(f"   {metric.name:<26} {metric.unit:<16} {better if metric.better else 'compare with the truth'}")
    click.echo("* = part of the pipeline that `dvc repro` runs")


@command("plan", "study plan palette_world")
@STUDY
@ARMS
def plan(study: str, arms: tuple[str, ...]) -> None:
    """Show the training runs of a study and how far each one is."""
    from study.cores import usable_cores
    from study.training.schedule import step_count

    own = project()
    settings = own.study(study)
    names = arms or own.arm_names(study)
    waiting = own.waiting(study, names)
    ready = [name for name in names if name not in waiting]
    cells = own.cells(study, own.arms(study, ready), settings.seeds) if ready else []
    steps = step_count(settings.train.images, settings.train.batch)
    click.echo(f"{study}: {settings.title}")
    click.echo(
        f"data {settings.data.source}, network {settings.model.name}, {len(settings.seeds)} seeds, "
        f"{steps:,} steps of {settings.train.batch} pictures per run"
    )
    speeds, missing = [], 0
    for cell in cells:
        record = own.store.record(cell.signature)
        if record is None and cell.sources:
            state = "to be made"  # a control, in a second
        elif record is None:
            state = f"{100 * own.store.progress(cell) / cell.train.images:.0f} % trained"
            missing += cell.train.images - own.store.progress(cell)
        else:
            state = record["status"]
            speeds.append(record["images_per_s"] or 0)
        click.echo(f"  {cell.arm.name:<26} seed {cell.seed:<4} {cell.signature}  {state}")
    for name in waiting:
        click.echo(f"  {name:<26} waits for its weights: study search {study}")
    if missing and speeds:
        cores = usable_cores()
        minutes = missing / sorted(speeds)[len(speeds) // 2] / cores / 60
        click.echo(f"about {minutes:.0f} minutes of training left on {cores} cores")


@command("doctor", "study doctor")
def doctor() -> None:
    """Check that this machine and this project have all that a study needs."""
    from study.doctor import examine

    sound = True
    for check in examine(project()):
        sound &= check.passed
        click.echo(f"{'ok  ' if check.passed else 'FAIL'}  {check.what}: {check.found}")
    if not sound:
        raise StudyError("something above failed; each line says what to do")


@command("check", "study check pinball")
@click.argument("arms", metavar="ARM...", nargs=-1, required=True)
def check(arms: tuple[str, ...]) -> None:
    """Test an arm's loss, your own too: gradients, gray pictures, precision, shapes, determinism.

    Needs no data and no training. Each check is a line. When one fails, the command fails.
    """
    from study.doctor import check_arm

    own, failed = project(), 0
    for name in arms:
        click.echo(name)
        for item in check_arm(own, name):
            failed += not item.passed
            click.echo(f"  {'ok  ' if item.passed else 'FAIL'}  {item.what}: {item.found}")
    if failed:
        raise StudyError(f"{failed} {'check' if failed == 1 else 'checks'} failed; each line says what was found")


@command("run", "study run smoke")
@STUDY
@click.pass_context
def run(context: click.Context, study: str) -> None:
    """Run every step of one study: prepare, search where it is declared, train, ..., report.

    For studies that `dvc repro` does not run. Finished training runs are kept. When some arms fail, the others are
    compared and reported all the same, and the command fails at the end.
    """
    searched = project().study(study).search is not None
    failures = []
    for step in (prepare, *([search] if searched else []), train, time_, evaluate, compare, report, track):
        if step is time_ and failures:  # it times all arms side by side, and those that fail may not take a step
            click.echo(f"steps are not timed, as not all arms are trained; run: study time {study}")
            continue
        click.secho(f"study {step.name} {study}", bold=True)
        try:
            context.invoke(step, study=study)
        except PartlyDone as error:
            failures.append(str(error))
        except StudyError as error:
            raise StudyError("; ".join([*failures, str(error)])) from error
    if failures:
        raise StudyError("; ".join(failures))


@command("prepare", "study prepare smoke")
@STUDY
@click.option("--again", is_flag=True, help="Make them anew even when they are up to date.")
def prepare(study: str, again: bool = False) -> None:
    """Make the arrays of a study from its source: data/STUDY/. Nothing is done when they are up to date."""
    from study.data.prepare import prepare

    own = project()
    manifest = prepare(study, own.study(study), own.root, again)
    counts = ", ".join(f"{facts['count']} {split}" for split, facts in manifest["splits"].items())
    click.echo(f"data/{study}: {counts}")
    for split, seen in manifest["seen_in_training"].items():
        if seen:
            click.echo(f"  {seen} of the {split} pictures are among the training pictures too, pixel for pixel")
    for item in manifest["skipped"][:20]:
        click.echo(f"  skipped {item['name']}: {item['reason']}")
    if len(manifest["skipped"]) > 20:
        click.echo(f"  ... and {len(manifest['skipped']) - 20} more, all listed in data/{study}/manifest.json")
    if manifest["flagged"]:
        click.echo(f"  {len(manifest['flagged'])} pictures are near gray or toned: see data/{study}/manifest.json")


@command("search", "study search palette_world --family anti_average --trials 8")
@STUDY
@click.option("--trials", type=click.IntRange(1), default=None, help="Candidates per family. Default: params.yaml's.")
@JOBS
@click.option(
    "--family", "families", multiple=True, help="Only this family of ablations/search_space.yaml (repeatable)."
)
@click.option(
    "--storage",
    default=None,
    help="PostgreSQL database that several searches share, postgresql://user@host/name; also STUDY_STORAGE.",
)
@click.option(
    "--objective",
    type=click.Choice(["pareto", "constrained"]),
    default="pareto",
    show_default=True,
    help="Fidelity, vividness and diversity at once, or the most vivid within limits.",
)
@click.option(
    "--at-most",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Limit of `--objective constrained`: by how many percent ab RMSE may exceed the baseline's.",
)
@click.option("--again", is_flag=True, help="Forget what was found about these families; trained networks are kept.")
def search(
    study: str,
    trials: int | None,
    jobs: int | None,
    families: tuple[str, ...],
    storage: str | None,
    objective: str,
    at_most: float,
    again: bool,
) -> None:
    """Search the weights that work on a study's validation pictures: results/STUDY/search/.

    A killed search goes on where it was. A finished one stays until data, settings or deciding code change.
    """
    from study.search.run import search

    found = search(
        project(),
        study,
        _jobs(jobs),
        families=list(families) or None,
        trials=trials,
        report=click.echo,
        storage=storage,
        objective=objective,
        slack=at_most / 100,
        again=again,
    )
    click.echo(found["sentence"] or "Every candidate diverged. Lower the upper bounds in ablations/search_space.yaml.")


@command("train", "study train palette_world mse anti_average --jobs 2")
@STUDY
@ARMS
@JOBS
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed (repeatable); nothing is collected.")
def train(study: str, arms: tuple[str, ...], jobs: int | None, seeds: tuple[int, ...]) -> None:
    """Train what is not trained yet: results/STUDY/runs/.

    A killed run goes on where it was. A finished one is never trained twice. An arm that fails stops no other.
    """
    from study.files import refuse_foreign_files
    from study.training.executor import run_cells
    from study.training.store import COLLECTED, collect

    own = project()
    chosen = own.arms(study, arms)
    searches = {arm.name: own.search_digest(study, arm) for arm in chosen}  # now: another may end meanwhile
    cells = own.cells(study, chosen, own.seeds(study, seeds))
    runs = own.results(study) / "runs"
    for arm in () if seeds else chosen:
        refuse_foreign_files(runs / arm.name, COLLECTED)
    failures = []
    try:
        run_cells(cells, own.store, _jobs(jobs))
    except StudyError as error:
        failures.append(str(error))
    for cell in cells:
        if record := own.store.record(cell.signature):
            end = "finished"
            if record["status"] != "finished":
                end = "diverged at step {step}, term {term}".format(**record["diverged"])
            click.echo(f"{cell.arm.name} seed {cell.seed}: {end}, {record['seconds']:.0f} s ({cell.signature})")
    cells_of = {arm.name: [cell for cell in cells if cell.arm == arm] for arm in chosen}
    done = [arm for arm in chosen if own.store.done(cells_of[arm.name])]
    if not seeds:
        for arm in done:
            collect(cells_of[arm.name], own.store, runs / arm.name, searches[arm.name])
    _raise_failures(failures, some_done=bool(done))


def _raise_failures(failures: list[str], some_done: bool) -> None:
    """Raise what went wrong with some arms, if anything: as PartlyDone where others came through."""
    if failures:
        raise PartlyDone("; ".join(failures)) if some_done else StudyError(failures[0])


@command("time", "study time smoke")
@STUDY
@click.option("--again", is_flag=True, help="Time anew what has been timed.")
def time_(study: str, again: bool = False) -> None:
    """Time a training step of every arm, all side by side: results/STUDY/step_times.json.

    Takes a minute or two, best on a machine that does nothing else. Needs the data and, for tuned arms, the search.
    """
    from study.training.step_times import time_steps

    own = project()
    cells = own.first_cells(study, own.arms(study))
    for arm, times in time_steps(cells, own.study(study).timing, own.step_times_file(study), again).items():
        told = "no times: its loss does not stay finite"
        if times:
            told = f"{median([each for process in times for each in process]):.1f} ms a step"
        click.echo(f"{arm}: {told}")


@command("evaluate", "study evaluate palette_world mse")
@STUDY
@ARMS
def evaluate(study: str, arms: tuple[str, ...]) -> None:
    """Score trained networks on the test pictures: results/STUDY/scores/, predictions/ and metrics/.

    An arm that cannot be scored stops no other.
    """
    from study.analysis.evaluate import evaluate
    from study.training.store import check_collected

    own, done, failures = project(), 0, []
    for arm in own.arms(study, arms):
        try:
            check_collected(own.results(study) / "runs" / arm.name, f"run: study train {study} {arm.name}")
            scores, fresh = evaluate(own, study, arm)
        except StudyError as error:
            failures.append(str(error))
            continue
        done += 1
        click.echo(
            f"{arm.name}: {len(scores)} scores of {scores['seed'].nunique()} seeds{'' if fresh else ', up to date'}"
        )
    for name in arms:
        if name not in own.arm_names(study):
            click.echo(f"{name} is not among the arms of {study} in params.yaml, so it is compared with none")
    _raise_failures(failures, some_done=done > 0)


@command("compare", "study compare palette_world --strict")
@STUDY
@click.option("--strict", is_flag=True, help="Fail when a claim that was confirmed before no longer is.")
def compare(study: str, strict: bool) -> None:
    """Compare the arms of a study: results/STUDY/tables/."""
    from study.analysis.claims import held, lost
    from study.analysis.compare import compare
    from study.analysis.length_variants import read_variants

    own = project()
    own.study(study)
    before = held(own.results(study) / "tables" / "claims.csv")
    tables = compare(own, study)
    cells = tables["cells"]
    for _, cell in cells[~cells["status"].isin(["finished", "diverged"])].iterrows():
        where = f"{cell['arm']} seed {cell['seed']}"
        click.echo(f"left out: {where} is {cell['status']} ({cell['detail']}); run: {cell['command']}")
    for _, cell in cells[cells["status"] == "diverged"].iterrows():
        click.echo(f"{cell['arm']} seed {cell['seed']} diverged {cell['detail']}")
    for other, arms in read_variants(own, study)[1].items():
        click.echo(f"not compared with {other}: {', '.join(arms)}, of other code or settings; run: study run {other}")
    cost = tables["cost"]
    if untimed := cost.loc[cost["step_ms"].isna(), "arm"].tolist():
        click.echo(f"steps not timed: {', '.join(untimed)}; run: study time {study}")
    claims = tables["claims"]
    told = ", ".join(f"{count} {verdict}" for verdict, count in claims["verdict"].value_counts().items())
    click.echo(f"results/{study}/tables: {len(tables['arms'])} estimates, {len(tables['paired'])} paired differences")
    click.echo(f"{len(claims)} claims{': ' if told else ''}{told}")
    if strict and (gone := lost(before, claims)):
        raise StudyError(f"claims that were confirmed before no longer are: {', '.join(gone)} (new tables are written)")


@command("report", "study report palette_world --open")
@STUDY
@click.option("--open", "open_", is_flag=True, help="Open the report in the browser.")
def report(study: str, open_: bool) -> None:
    """Write the report of a study: reports/STUDY/index.html and report.md."""
    from study.report import write_index, write_report

    own = project()
    own.study(study)
    page = write_report(own.results(study), own.root / "reports" / study)
    write_index(own.root / "reports", list(own.params.studies))
    click.echo(str(page.relative_to(own.root)))
    if not (own.results(study) / "predictions").is_dir():
        click.echo(f"without pictures: there is no results/{study}/predictions; run: study run {study}")
    if open_:
        click.launch(page.as_uri())


@command("track", "study track palette_world --tensorboard")
@STUDY
@ARMS
@click.option(
    "--tensorboard", is_flag=True, help="Write TensorBoard event files to tensorboard/ instead of MLflow runs."
)
@click.option("--uri", default=None, help="MLflow tracking server or store. Default: mlflow.db in the project.")
def track(study: str, arms: tuple[str, ...], tensorboard: bool, uri: str | None) -> None:
    """Record the training runs and the search of a study in MLflow (see them with `make ui`) or for TensorBoard."""
    own = project()
    names = [arm.name for arm in own.arms(study, arms)]
    if tensorboard:
        from study.tracking.tensorboard import track_tensorboard

        done = track_tensorboard(own.root, study, names, own.seeds(study), own.root / "tensorboard")
    else:
        from study.tracking.mlflow import track_mlflow

        done = track_mlflow(own.root, study, names, own.seeds(study), uri)
    click.echo(
        f"{done.recorded} runs recorded, {done.replaced} replaced, {done.unchanged} unchanged; look: {done.open_with}"
    )
    if done.trials:
        click.echo(f"{done.trials} trials of the search recorded")
    if done.missing:
        click.echo(f"not trained: {', '.join(done.missing)}")


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; failures end in one line on stderr and exit status 1, Ctrl-C in 130."""
    try:
        return study.main(args=arguments, prog_name="study", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except StudyError as error:
        click.echo(f"study: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("study: interrupted; what is finished is kept, and the same command goes on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        click.echo(f"study: {error}", err=True)
        sys.exit(1)
