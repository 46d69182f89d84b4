"""A check by a command of the user's: a process for each answer, with a time limit, several at a time."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.reports.rows import RecordRow
from llm_sync.reports.verdicts import Verdict, without_verdict

TIMEOUT_S = 30.0
PASSING_SCORE = 0.5
_MAX_OUTPUT = 65_536
_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV", "SYSTEMROOT", "TEMP", "TMP")


class CommandCheck:
    """Runs CMD (words as in a shell, but without one) for each answer, which it gets as JSON on standard input.

    It may print true or false, a score from 0 to 1, or an object with ``score`` or ``passed``; if it prints nothing, its status
    counts: 0 passes, 1 does not. Anything else is no verdict. ``timeout``: seconds for one answer.
    """

    needs_expectation = False

    def __init__(self, command: str, *, timeout: float = TIMEOUT_S, workers: int | None = None) -> None:
        """Raises InvalidRequestError for a command that cannot be read or is not there."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InvalidRequestError(f"the command {command!r} cannot be read: {error}") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise InvalidRequestError(f"the command {command!r} is not there, or not executable")
        self._timeout = timeout
        self._workers = workers or min(8, os.cpu_count() or 1)
        self.description = f"the command {command} decides; a score of {PASSING_SCORE} or more passes"

    def verdicts(self, rows: Iterable[RecordRow]) -> Iterator[tuple[RecordRow, Verdict]]:
        """Each row with its verdict, in order; a few rows ahead are judged meanwhile."""
        waiting: collections.deque[tuple[RecordRow, Future[Verdict]]] = collections.deque()
        with ThreadPoolExecutor(self._workers, "llm-sync-check") as pool:
            try:
                for row in rows:
                    waiting.append((row, pool.submit(self._verdict, row)))
                    if len(waiting) > 4 * self._workers:
                        first, verdict = waiting.popleft()
                        yield first, verdict.result()
                while waiting:
                    first, verdict = waiting.popleft()
                    yield first, verdict.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _verdict(self, row: RecordRow) -> Verdict:
        missing = without_verdict(self, row)
        if missing is not None:
            return missing
        document = {"answer": row.text, "expected": row.expected, "parsed": row.parsed, "id": row.id, "input": row.input}
        content = json.dumps({**document, "record": row.to_dict()}, default=str).encode()
        try:
            status, out, err = self._run(content)
        except subprocess.TimeoutExpired:
            return Verdict(None, None, f"the command took more than {self._timeout:g} s")
        except OSError as error:
            return Verdict(None, None, f"the command cannot be run: {error.strerror or error}")
        return _read_verdict(status, out, err)

    def _run(self, content: bytes) -> tuple[int, bytes, bytes]:
        """Run it in a session of its own, so that its children can be ended with it. Raises TimeoutExpired, OSError."""
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(content)
            given.seek(0)
            process = subprocess.Popen(  # noqa: S603  (the user's own command)
                self._words, stdin=given, stdout=out, stderr=err, env=environment, start_new_session=True
            )
            try:
                status = process.wait(self._timeout)
            finally:
                _end_group(process)
            return status, _start_of(out), _start_of(err)


def _start_of(file: Any) -> bytes:
    file.seek(0)
    return bytes(file.read(_MAX_OUTPUT + 1))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it has left running."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _read_verdict(status: int, out: bytes, err: bytes) -> Verdict:
    text = out.decode("utf-8", "replace").strip()
    if status == 0 and len(out) > _MAX_OUTPUT:
        return Verdict(None, None, f"the command printed more than {_MAX_OUTPUT:,} bytes")
    if status not in (0, 1) or (status == 1 and err.strip()):
        last = (err.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        return Verdict(None, None, f"the command ended with status {status}: {last}".removesuffix(": "))
    if not text:
        return Verdict(float(status == 0), status == 0)
    try:
        return _of_value(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return Verdict(None, None, f"the command printed neither a score from 0 to 1, nor true or false: {text[:60]}")


def _of_value(value: Any) -> Verdict:
    """The verdict that a JSON value stands for. Raises ValueError, TypeError."""
    passed = None
    if isinstance(value, dict):
        passed = value.get("passed")
        value = value.get("score", passed)
    if passed is not None and not isinstance(passed, bool):
        raise ValueError("passed is neither true nor false")
    if isinstance(value, bool):
        return Verdict(float(value), value)
    score = float(value)
    if isinstance(value, str) or not 0 <= score <= 1:
        raise ValueError("no score")
    return Verdict(score, score >= PASSING_SCORE if passed is None else passed)
