"""The ledger's file: one SQLite database (WAL) for all processes of the user, and a mark beside it that shows an old copy.

``open_database`` gives a connection that is checked: of a version that this program can write, and no older than the mark says
it was. Whatever is wrong raises LedgerError, whose text says so to the user.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from llm_sync.spending.trusted_time import Reference

FORMAT = 1  # raised when an older program could no longer keep the sums right
BUSY_TIMEOUT_S = 30.0  # how long others may write: milliseconds each, but twenty processes on a slow disk take turns, unfairly
_FILE, _MARK = "spending.db", "spending.mark"

_GUIDANCE = {
    errno.ELOOP: "It is a link: put the file itself in its place.",
    errno.EISDIR: "Move that folder away.",
    errno.EEXIST: "Move away what is in the place of its folder.",
    errno.ENOTDIR: "Move away what is in the place of its folder.",
    errno.ENOSPC: "Free disk space.",
}

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, state TEXT NOT NULL, amount INTEGER NOT NULL, owner TEXT NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, config TEXT NOT NULL, tag TEXT NOT NULL, run TEXT NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, requests INTEGER NOT NULL DEFAULT 1, span INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE charges (entry INTEGER NOT NULL, budget TEXT NOT NULL, PRIMARY KEY (entry, budget)) WITHOUT ROWID;
CREATE TABLE totals (
    budget TEXT NOT NULL, per TEXT NOT NULL, starts REAL NOT NULL, spent INTEGER NOT NULL, reserved INTEGER NOT NULL,
    PRIMARY KEY (budget, per, starts)
) WITHOUT ROWID;
CREATE INDEX entries_at ON entries (at);
CREATE INDEX entries_open ON entries (owner) WHERE state = 'reserved';
CREATE INDEX entries_single ON entries (at) WHERE span = 0 AND state IN ('spent', 'cached');
"""


# For a ledger without sums (folding.py). ``requests`` that a row stands for, all within ``span`` seconds, 0 for a single one.
# A program that does not know these columns goes on with the ledger: it counts a sum as one request, with the right amounts.
_SUMS = """
ALTER TABLE entries ADD COLUMN requests INTEGER NOT NULL DEFAULT 1;
ALTER TABLE entries ADD COLUMN span INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entries_single ON entries (at) WHERE span = 0 AND state IN ('spent', 'cached');
"""


class LedgerError(Exception):
    """The ledger cannot be used. ``args[0]`` says why, in words that fit behind "the ledger …"; ``guidance`` what to do."""

    def __init__(self, reason: str, guidance: str = "", *, passes: bool = False) -> None:
        super().__init__(reason)
        self.guidance = guidance
        self.passes = passes  # whether it may pass by itself


class Mark(NamedTuple):
    """What the file beside the database holds: the ledger's id and the number of its latest entry."""

    ledger: str
    sequence: int


class LedgerPaths(NamedTuple):
    """Where the database and its mark are."""

    database: str
    mark: str

    @classmethod
    def in_folder(cls, folder: str, *, simulated: bool = False) -> LedgerPaths:
        """Those of a folder; a simulation has a ledger of its own."""
        start = "simulated-" if simulated else ""
        return cls(os.path.join(folder, start + _FILE), os.path.join(folder, start + _MARK))

    @classmethod
    def of_user(cls, *, simulated: bool = False) -> LedgerPaths:
        """Those in the user's state folder. Raises LedgerError where there is none."""
        from platformdirs import user_state_dir

        try:
            folder = user_state_dir("llm-sync", appauthor=False)
        except (OSError, RuntimeError):
            folder = ""
        if not os.path.isabs(folder):
            raise LedgerError("has no place: no home folder is known", "Set HOME.")
        return cls.in_folder(folder, simulated=simulated)


def open_database(paths: LedgerPaths, *, accept: bool = False) -> sqlite3.Connection:
    """A connection, which any thread may use, one at a time. ``accept``: take the file as it is, whatever its mark says.

    Creates a missing file, unless its mark shows that there was one. Raises LedgerError.
    """
    mark = read_mark(paths.mark)
    with explained(paths.database):
        is_new = not os.path.exists(paths.database)
        if is_new and mark is not None and not accept:
            raise LedgerError(
                f"{paths.database} is gone, but {paths.mark} shows that there was one",
                "Put it back, or run 'llm-sync spend --accept' to begin a new one with nothing spent.",
            )
        os.makedirs(os.path.dirname(paths.database), 0o700, exist_ok=True)
        _touch(paths.database)
        connection = sqlite3.connect(paths.database, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(connection)
            _prepare(connection)
            _check_mark(connection, paths, mark, accept=accept)
        except BaseException:
            connection.close()
            raise
        return connection


def _touch(path: str) -> None:
    """Create the file if it is missing, for this user alone. Raises OSError for a link, and LedgerError for what is no file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LedgerError(f"{path} is no regular file", "Move it away.")
    finally:
        os.close(descriptor)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; SQLite does not wait for another process that does so at the same time."""
    for attempt in range(100):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # noqa: PERF203  (it is tried again)
            if "locked" not in str(error) or attempt == 99:
                raise
            time.sleep(0.02)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new file, and what an old one lacks; refuse one that a later program writes in another way."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise LedgerError("is written by a newer llm-sync, in a way that this one does not know", "Use the newer one.")
    if version == 0:
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # no other process was faster
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES ('ledger', ?)", (os.urandom(16).hex(),))
                connection.execute(f"PRAGMA user_version = {FORMAT}")
    elif not _has_sums(connection):
        with transaction(connection):
            for statement in filter(str.strip, () if _has_sums(connection) else _SUMS.split(";")):
                connection.execute(statement)


def _has_sums(connection: sqlite3.Connection) -> bool:
    return any(row[1] == "span" for row in connection.execute("PRAGMA table_info(entries)"))


def _check_mark(connection: sqlite3.Connection, paths: LedgerPaths, mark: Mark | None, *, accept: bool) -> None:
    now = current_mark(connection)
    if mark is not None and not accept and (mark.ledger != now.ledger or mark.sequence > now.sequence):
        what = "another one than before" if mark.ledger != now.ledger else "older than it was"
        raise LedgerError(
            f"{paths.database} is {what}: a copy was put in its place, and what was spent since then is not in it",
            "Put the latest one back, or run 'llm-sync spend --accept' to go on with this one.",
        )
    if mark != now:
        write_mark(paths.mark, now)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT: no other process writes in between. Rolled back on an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Raise LedgerError in place of what SQLite and the system raise."""
    try:
        yield
    except sqlite3.OperationalError as error:
        locked = "locked" in str(error) or "busy" in str(error)
        guidance = "Another process holds it: end that one." if locked else f"Free disk space, or make {path} writable."
        raise LedgerError(f"{path} cannot be written: {error}", guidance, passes=locked) from error
    except (sqlite3.Error, TypeError) as error:  # a value of another type than is written there
        guidance = f"Move {path} away and run 'llm-sync spend --accept' to begin a new one with nothing spent."
        raise LedgerError(f"{path} is damaged: {error}", guidance) from error
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        guidance = _GUIDANCE.get(getattr(error, "errno", None) or 0, "Make its folder writable.")
        raise LedgerError(f"{path} cannot be used: {reason}", guidance) from error


def current_mark(connection: sqlite3.Connection) -> Mark:
    """What the mark is to say now."""
    (ledger,) = connection.execute("SELECT value FROM meta WHERE name = 'ledger'").fetchone()
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    return Mark(ledger, 0 if row is None else row[0])


def read_mark(path: str) -> Mark | None:
    """The mark; None where there is none, or none that was written whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))  # it may be a pipe
        with open(descriptor, encoding="ascii") as file:
            ledger, sequence = file.read(200).split()
        return Mark(ledger, int(sequence))
    except (OSError, ValueError):
        return None


def write_mark(path: str, mark: Mark) -> None:
    """Write the mark, a line of constant length, in one write. A failure is ignored: the database is what counts."""
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, f"{mark.ledger} {mark.sequence:020d}\n".encode("ascii"))
        finally:
            os.close(descriptor)


def read_reference(connection: sqlite3.Connection) -> Reference | None:
    """The reference of the ledger's time."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'time'").fetchone()
    if row is None:
        return None
    boot, uptime, at, latest = str(row[0]).rsplit(" ", 3)
    return Reference(boot, float(uptime), float(at), float(latest))


def write_reference(connection: sqlite3.Connection, reference: Reference) -> None:
    """Store it, within a transaction."""
    value = f"{reference.boot} {reference.uptime!r} {reference.at!r} {reference.latest!r}"
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('time', ?)", (value,))
