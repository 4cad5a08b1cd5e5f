"""A command `study` that starts at once, so that a pipeline of thirty commands imports torch once and not thirty times.

`python tests/warm.py FOLDER` imports what the commands use, writes the command into FOLDER, and forks for each start.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

USED = ("analysis.compare", "analysis.evaluate", "data.prepare", "report", "search.run", "tracking.mlflow",
        "training.executor", "training.step_times")  # fmt: skip
COMMAND = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b" "], [0, 1, 2])
    server.sendall(json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16)))
"""


def run(cwd: str, arguments: list[str], environment: dict[str, str], streams: list[int]) -> NoReturn:
    """Be the command, in a process of its own."""
    from study.cli import main

    for own, theirs in enumerate(streams):
        os.dup2(theirs, own)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    code: object = 1
    try:
        main(arguments)
        code = 0
    except SystemExit as leave:
        code = leave.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def serve(folder: Path) -> None:
    """Start commands, one after the other, until this process is killed or left alone."""
    parent = os.getppid()
    importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    for name in USED:
        importlib.import_module(f"study.{name}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        listener.settimeout(1)
        command = folder / "study"
        command.write_text(COMMAND.format(python=sys.executable, address=str(folder / "socket")))
        command.chmod(0o755)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                content, streams, *_ = socket.recv_fds(connection, 1, 3)
                while more := connection.recv(1 << 16):
                    content += more
                child = os.fork()
                if child == 0:
                    run(*json.loads(content), streams)
                for stream in streams:
                    os.close(stream)
                _, status = os.waitpid(child, 0)
                connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
