"""Where a search is kept: a journal in .search/ for one process at a time, or PostgreSQL for many machines.

A worker holds a lock for as long as it lives. So others know at once when it is dead, without heartbeats or clocks. The
embedded journal is locked as a whole with a file lock, which the system releases when the process ends. Whatever is
still marked as running in it was left by a dead process. In PostgreSQL every worker holds an advisory lock of its own,
which the server releases when the connection ends.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.pool import NullPool

from study.errors import StudyError
from study.files import explain_full_disk

DRIVERS = ("postgresql", "postgresql+psycopg", "postgres")
# A machine that vanishes without closing its connection is noticed after about a minute.
CONNECTION = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
SERVER_KEEPALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"


@contextmanager
def open_storage(root: Path, study: str, url: str | None) -> Iterator[_Embedded | _Shared]:
    """The storage at `url`, or the embedded one of the study; StudyError in one line when it cannot be used.

    optuna: the storage as Optuna takes it. alone: no other process can work on it. worker: name of this process.
    lock(name): holds a lock that all processes share. is_dead(worker): whether the process of that name has ended.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _embedded(root / ".search", study) if url is None else _shared(url) as storage:
        yield storage


class _Embedded:
    alone = True

    def __init__(self, log: Path) -> None:
        self.optuna = JournalStorage(JournalFileBackend(str(log)))
        self.worker = uuid.uuid4().hex

    def lock(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()  # the whole journal is ours

    def is_dead(self, worker: str) -> bool:
        return worker != self.worker


@contextmanager
def _embedded(folder: Path, study: str) -> Iterator[_Embedded]:
    log = folder / f"{study}.log"
    with explain_full_disk(log):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f"{study}.busy", timeout=0):
                _drop_leftovers(log)
                yield _Embedded(log)
        except Timeout:
            raise StudyError(
                f"another `study search {study}` is at work here: wait for it, or let several share a PostgreSQL "
                "database (--storage postgresql://...)"
            ) from None


def _drop_leftovers(log: Path) -> None:
    """Remove what a process that died while writing may have left: Optuna's lock, and half of a last line."""
    Path(f"{log}.lock").unlink(missing_ok=True)
    if log.exists():
        content = log.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(log, whole)


class _Shared:
    alone = False

    def __init__(self, storage: RDBStorage, connection: sqlalchemy.Connection) -> None:
        self.optuna, self._connection, self.worker = storage, connection, uuid.uuid4().hex
        self._ask("SELECT pg_advisory_lock(:key)", self.worker)

    def _ask(self, statement: str, name: str) -> Any:
        return ask_lock(self._connection, statement, name)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        self._ask("SELECT pg_advisory_lock(:key)", name)
        try:
            yield
        finally:
            self._ask("SELECT pg_advisory_unlock(:key)", name)

    def is_dead(self, worker: str) -> bool:
        if worker == self.worker:
            return False  # a lock can be taken again by the one who has it
        free = self._ask("SELECT pg_try_advisory_lock(:key)", worker)
        if free:
            self._ask("SELECT pg_advisory_unlock(:key)", worker)
        return bool(free)


def ask_lock(connection: sqlalchemy.Connection, statement: str, name: str) -> Any:
    """Answer to a statement about the advisory lock called `name`; PostgreSQL knows locks by 64-bit numbers."""
    key = int.from_bytes(hashlib.sha256(f"study search {name}".encode()).digest()[:8], signed=True)
    return connection.execute(sqlalchemy.text(statement), {"key": key}).scalar()


@contextmanager
def _shared(url: str) -> Iterator[_Shared]:
    try:
        parts = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise StudyError("--storage is no database address; write postgresql://user:password@host/database") from None
    if parts.drivername not in DRIVERS:
        raise StudyError(
            f"--storage {parts.render_as_string()}: only PostgreSQL is shared by several processes; "
            "write postgresql://user:password@host/database, or leave it out for the embedded storage"
        )
    parts = parts.set(drivername="postgresql+psycopg")
    shown = parts.render_as_string()
    try:
        arguments = {**CONNECTION, "options": SERVER_KEEPALIVE}
        engine = sqlalchemy.create_engine(
            parts, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=arguments
        )
    except ImportError as error:
        raise StudyError("PostgreSQL needs a driver: run pip install 'colorization-loss-study[postgresql]'") from error
    try:
        with engine.connect() as connection:
            # Two processes that make the tables of a new database at once would trip over each other.
            ask_lock(connection, "SELECT pg_advisory_lock(:key)", "tables")
            storage = RDBStorage(
                parts.render_as_string(hide_password=False), {"pool_pre_ping": True, "connect_args": arguments}
            )
            ask_lock(connection, "SELECT pg_advisory_unlock(:key)", "tables")
            try:
                yield _Shared(storage, connection)
            finally:
                storage.remove_session()
                storage.engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
        reason = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0]
        raise StudyError(
            f"the search's database {shown} cannot be used ({reason}): start or repair it, then run the same command "
            "to go on (finished trials are kept)"
        ) from error
