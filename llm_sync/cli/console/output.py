"""Where answers are written: byte for byte into pipes and files, safe on terminals, all or nothing into ``--output``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from llm_sync.cli.console import output_files, terminal
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.stdout import STDOUT, Unwritable, check_stdout
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.machine import append as machine_append


class Output:
    """A destination for answers. ``terminal``: whether it is a terminal; ``name``: what messages call it."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.terminal = stream.isatty()

    def write(self, *parts: str | tuple[str, str]) -> None:
        """Write the parts as one text, end the line, and flush. A part may be a pair of text and colour. Raises Unwritable.

        A lone surrogate, which UTF-8 cannot encode, is written as an escape that JSON reads back.
        """
        text = "".join(map(self._render, parts))
        content = (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace")
        try:
            if self.terminal:
                with settings.pause_progress():
                    self._write_all(content)
            else:
                self._write_all(content)
        except OSError as error:
            raise Unwritable(self._name, error) from None

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None for anything else."""
        return terminal.width(1) if self.terminal else None

    def write_line(self, text: str) -> None:
        """Write a line of a listing; a terminal gets it wrapped between words. Raises Unwritable."""
        self.write(terminal.wrap(text, terminal.width(1), hanging="  ") if self.terminal else text)

    def _render(self, part: str | tuple[str, str]) -> str:
        text, color = (part, "") if isinstance(part, str) else part
        text = terminal.escape_controls(text) if self.terminal else text
        return terminal.colored(text, color, self._stream) if color and self.is_stdout else text

    def _write_all(self, content: bytes) -> None:
        rest = memoryview(content)
        while True:
            try:
                while rest:  # an unbuffered stream may write a part, or return None for nothing
                    rest = rest[self._stream.write(rest) or 0 :]
                    if rest:
                        self._wait_until_writable()
                self._stream.flush()
                return
            except BlockingIOError as error:  # noqa: PERF203  (rare)
                rest = rest[error.characters_written :]  # 0 if the flush raised it, which then continues
                self._wait_until_writable()

    def _wait_until_writable(self) -> None:
        """For a pipe that does not block: a parent process may pass one."""
        import select

        select.select([], [self._stream], [])

    def discard(self) -> None:
        """Leave the ``--output`` file as it was: there is nothing to put into it."""

    def after_interrupt(self) -> Output:
        """Where answers go that arrive after an interrupt: here, unless this is to replace a file as a whole."""
        return self

    def keep_aside(self) -> str | None:
        """Keep the temporary file of ``--output``, whose content can go nowhere else; return its path."""
        return None

    @property
    def is_stdout(self) -> bool:
        """Whether it is standard output, so that answers it cannot take have no other destination."""
        return self._name == STDOUT


class _ReplacingFile(Output):
    """A temporary file that replaces its target at the end, unless it is discarded."""

    def __init__(self, stream: BinaryIO, name: str, path: str) -> None:
        super().__init__(stream, name)
        self._path = path
        self.discarded = False
        self.kept_aside = False

    def discard(self) -> None:
        self.discarded = True
        with suppress(OSError):
            self._stream.close()  # Windows deletes and renames no file that is open
            os.unlink(self._path)

    def after_interrupt(self) -> Output:
        return stdout_output()

    def keep_aside(self) -> str | None:
        self.kept_aside = True
        return self._path

    def replace(self, target: str) -> None:
        """Sync the file and rename it to ``target``. Raises Unwritable, which says where the answers are."""
        try:
            os.fsync(self._stream.fileno())
            self._stream.close()
            os.replace(self._path, target)
        except OSError as error:
            raise Unwritable(self._name, error, f"the answers are in {self.keep_aside()!r}") from None


class _AppendedFile(Output):
    """A file that other processes may append to as well: each write is added as a whole, at once."""

    terminal = False

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name

    def _write_all(self, content: bytes) -> None:
        machine_append.append(self._path, content)


@contextmanager
def open_output(path: str | None, *, append: bool = False) -> Iterator[Output]:
    """Standard output (None or ``-``), or the file ``path``, which is replaced as a whole when the block ends well.

    With ``append`` each write is added to the file at once. Raises UsageError, before anything is sent, for a file that
    cannot be written, and Unwritable for a closed standard output.
    """
    if path is None or path == "-":
        if append:
            raise UsageError("--append needs a file to append to: give --output FILE")
        yield stdout_output()
        return
    name = f"--output {path!r}"
    if not path:
        raise UsageError(f"{name} is empty: name a file")
    output_files.check_links(path, name)
    if output_files.is_special(path):
        with output_files.open_special(path, name) as stream:
            yield Output(stream, name)
    elif append:
        output_files.check_appendable(path, name)
        yield _AppendedFile(path, name)
    else:
        with _replacing(os.path.realpath(path), name) as output:
            yield output


@contextmanager
def _replacing(target: str, name: str) -> Iterator[Output]:
    path = output_files.create_beside(target, name)
    with open(path, "wb", buffering=0) as stream:  # unbuffered: close must not try again to write what failed
        output = _ReplacingFile(stream, name, path)
        try:
            yield output
            if not output.discarded:
                output.replace(target)
        except BaseException:
            if not output.kept_aside:
                output.discard()
            raise


def stdout_output() -> Output:
    """Standard output. Raises Unwritable if it is closed."""
    check_stdout()
    return Output(sys.stdout.buffer, STDOUT)
