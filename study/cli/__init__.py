"""The commands. Nothing heavy is imported until a command needs it, and every failure is one line."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from study.cli import networks, overview, steps
from study.cli.group import study
from study.errors import StudyError

__all__ = ["main", "networks", "overview", "steps", "study"]

# Read by the libraries when they are imported; set here so that no command of ours ever phones home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


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
