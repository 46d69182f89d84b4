"""Writing answers: byte-exact into pipes and files, harmless on terminals, all or nothing into ``--output``."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from llm_sync.cli.console import streams
from llm_sync.cli.options.argument_parser import UsageError, columns, fitted
from llm_sync.machine import append as machine_append


class Output:
    """Where answers go. ``terminal`` tells whether a person is looking; ``name`` is what messages call it."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.terminal = stream.isatty()

    def write(self, *parts: str | tuple[str, str]) -> None:
        """Write the parts as one text and end the line, at once. A part may come with a colour. Raises Unwritable.

        A lone surrogate, which UTF-8 cannot write, becomes an escape; JSON reads it back as what it was.
        """
        text = "".join(map(self._made_fit, parts))
        content = (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace")
        try:
            if self.terminal:
                with streams.manner.beside():
                    self._put(content)
            else:
                self._put(content)
        except OSError as error:
            raise streams.Unwritable(self._name, error) from None

    @property
    def width(self) -> int | None:
        """The columns of the terminal that this is; None where it is none."""
        return columns(1) if self.terminal else None

    def write_line(self, text: str) -> None:
        """Write a line of a listing; on a terminal, one that is too long is broken between words. Raises Unwritable."""
        self.write(fitted(text, columns(1), hanging="  ") if self.terminal else text)

    def _made_fit(self, part: str | tuple[str, str]) -> str:
        text, color = (part, "") if isinstance(part, str) else part
        text = streams.shown(text) if self.terminal else text
        return streams.painted(text, color, self._stream) if color and self._name == streams.STDOUT else text

    def _put(self, content: bytes) -> None:
        rest = memoryview(content)
        while True:
            try:
                while rest:  # an unbuffered stream may take a part, or say None for nothing
                    taken = self._stream.write(rest)
                    rest = rest[taken or 0 :]
                    if rest:
                        self._wait()
                self._stream.flush()
                return
            except BlockingIOError as error:  # noqa: PERF203  (rare)
                rest = rest[error.characters_written :]  # of a flush none: it goes on where it was
                self._wait()

    def _wait(self) -> None:
        """Until the stream takes more: programs that start others may leave them a pipe that does not block."""
        import select

        select.select([], [self._stream], [])

    def discard(self) -> None:
        """Leave an ``--output`` file as it was: there is nothing to put into it."""

    def rescued(self) -> Output:
        """Where what still comes after an interrupt goes: here, but for a file that is to be replaced as a whole."""
        return self

    def put_aside(self) -> str | None:
        """Keep what an ``--output`` file was to get, which can go nowhere else; the path where it is."""
        return None

    @property
    def is_stdout(self) -> bool:
        """Whether it is standard output, so that there is no other place for what it does not take."""
        return self._name == streams.STDOUT


class _Replacement(Output):
    """A file beside the one it is to replace; ``kept`` until it is discarded."""

    def __init__(self, stream: BinaryIO, name: str, path: str) -> None:
        super().__init__(stream, name)
        self._path = path
        self.kept = True
        self.stays = False  # where it is, as it cannot be put where it belongs

    def discard(self) -> None:
        self.kept = False
        with suppress(OSError):
            self._stream.close()  # Windows deletes and renames no file that is open
            os.unlink(self._path)

    def rescued(self) -> Output:
        return standard()

    def put_aside(self) -> str | None:
        self.stays = True
        return self._path

    def put(self, target: str) -> None:
        """Make it ``target``, safe against a crash in between. Raises Unwritable, and leaves the answers where it says."""
        try:
            os.fsync(self._stream.fileno())
            self._stream.close()
            os.replace(self._path, target)
        except OSError as error:
            raise streams.Unwritable(self._name, error, f"the answers are in {self.put_aside()!r}") from None


class _Addition(Output):
    """A file that keeps what it has, and that others may append to as well: each write is added at once, as a whole."""

    terminal = False

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name

    def _put(self, content: bytes) -> None:
        machine_append.append(self._path, content)


@contextmanager
def opened(path: str | None, *, append: bool = False) -> Iterator[Output]:
    """Standard output, or the file ``path``, which is replaced as a whole when the block ends well.

    With ``append`` the file keeps what it has, and each write is added to it at once. Raises UsageError, before anything is
    sent, for a file that cannot be written, and Unwritable for a closed standard output.
    """
    if path is None or path == "-":
        if append:
            raise UsageError("--append needs a file to append to: give --output FILE")
        yield standard()
        return
    name = f"--output {path!r}"
    if not path:
        raise UsageError(f"{name} is empty: name a file")
    if _is_special(path):  # a device or a pipe cannot be renamed onto
        with _special(path, name) as stream:
            yield Output(stream, name)
        return
    if append:
        _check_appendable(path, name)
        yield _Addition(path, name)
        return
    target = os.path.realpath(path)
    beside = _temporary_beside(target, name)
    with open(beside, "wb", buffering=0) as stream:  # unbuffered: what does not fit must not be tried again at the end
        output = _Replacement(stream, name, beside)
        try:
            yield output
            if output.kept:
                output.put(target)
        except BaseException:
            if not output.stays:
                output.discard()
            raise


def standard() -> Output:
    """Standard output. Raises Unwritable where it is closed."""
    streams.check_stdout()
    return Output(sys.stdout.buffer, streams.STDOUT)


def _special(path: str, name: str) -> BinaryIO:
    try:
        return open(path, "wb", buffering=0)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {error.strerror}") from None


def _check_appendable(path: str, name: str) -> None:
    try:
        machine_append.check_appendable(path)
    except IsADirectoryError:
        raise UsageError(f"{name} is a folder: name a file") from None
    except NotImplementedError as error:
        raise UsageError(f"--append cannot be done here: {error}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _temporary_beside(target: str, name: str) -> str:
    """A new file in the folder of ``target``, of its mode."""
    if os.path.isdir(target):
        raise UsageError(f"{name} is a folder: name a file")
    if os.path.islink(target):
        raise UsageError(f"{name} is a link to itself: name a file")
    try:
        os.stat(target)
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long: it would be found out when the answers are paid for
        raise UsageError(f"{name} cannot be written: {error.strerror}") from None
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise UsageError(f"{name} cannot be written: permission denied")
    folder = os.path.dirname(target)
    try:
        descriptor, beside = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(target)[:100]}.")
    except OSError as error:
        raise UsageError(f"{name} cannot be written: a new file in {folder!r} fails: {error.strerror}") from None
    os.close(descriptor)
    os.chmod(beside, _mode(target))
    return beside


def _mode(target: str) -> int:
    """The mode of the file that is replaced, else what a new file gets."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except OSError:
        return unmasked(0o666)


def unmasked(mode: int) -> int:
    """What the user's umask leaves of a new file's mode."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode)
    except OSError:
        return False
