from __future__ import annotations

import io
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli.console import messages, terminal
from llm_sync.cli.console.output import Output, open_output
from llm_sync.simulator import Simulator

Run = Callable[..., Any]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of an earlier run, which only its owner may read."""
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o600)
    return path


def left(folder: Path) -> list[str]:
    """What lies in the folder but for the configuration."""
    return sorted(name for name in os.listdir(folder) if name != "two.yaml")


def test_a_new_file_appears_with_the_usual_mode(ask: Run, tmp_path: Path) -> None:
    """As any program's: what the umask leaves."""
    before = os.umask(0o027)
    try:
        assert ask("-m", "first/m", "--output", str(tmp_path / "new"), "hi") == (0, "", "")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_text() == "an answer\n"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert left(tmp_path) == ["new"]


def test_an_old_file_is_replaced_and_keeps_its_mode(ask: Run, old: Path) -> None:
    """The mode of the former file is kept."""
    assert ask("-m", "first/m", "--output", str(old), "hi").status == 0
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode)) == ("an answer\n", 0o600)
    assert left(old.parent) == ["out.txt"]


def test_the_file_appears_only_when_all_answers_are_there(ask: Run, old: Path, script: Any) -> None:
    """A reader sees the old file or the new one, never half of it."""
    seen: list[str] = []
    script.look = lambda record: seen.append(old.read_text())
    assert ask("-m", "first/m", "-m", "first/n", "--output", str(old), "hi").status == 0
    assert seen == ["old", "old"]
    assert old.read_text() != "old"


def test_a_link_is_followed(ask: Run, old: Path) -> None:
    """The file it points to is replaced, the link stays."""
    link = old.parent / "link"
    link.symlink_to(old.name)
    assert ask("-m", "first/m", "--output", str(link), "hi").status == 0
    assert link.is_symlink()
    assert old.read_text() == "an answer\n"


def test_a_link_into_nothing_makes_its_file(ask: Run, tmp_path: Path) -> None:
    """As a shell's > does."""
    (tmp_path / "link").symlink_to("later")
    assert ask("-m", "first/m", "--output", str(tmp_path / "link"), "hi").status == 0
    assert (tmp_path / "later").read_text() == "an answer\n"


def test_all_failed_leaves_the_old_file(ask: Run, old: Path, script: Any) -> None:
    """There is nothing to put into it."""
    script.fail(400)
    assert ask("-m", "first/m", "--output", str(old), "hi").status == 7
    assert old.read_text() == "old"
    assert left(old.parent) == ["out.txt"]


def test_all_failed_is_a_record_too_with_json(ask: Run, old: Path, script: Any) -> None:
    """With --json errors are output: each request has its line."""
    script.fail(400)
    assert ask("-m", "first/m", "--json", "--output", str(old), "hi").status == 7
    assert '"InvalidRequestError"' in old.read_text()


def test_some_failed_writes_the_answers_that_came(ask: Run, old: Path, script: Any) -> None:
    """They are paid for; status 9 and standard error tell that some are missing."""
    script.fail(400, model="n")
    assert ask("-m", "first/n", "-m", "first/m", "--output", str(old), "hi").status == 9
    assert old.read_text() == "== first/m ==\nan answer\n"


def test_an_interrupt_leaves_the_old_file(ask: Run, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two answers: the file of the last run stays, nothing else lies beside it; what came is printed."""
    from llm_sync.cli import generate_run

    write = generate_run.GenerateRun._write

    def write_once(*arguments: object) -> None:
        monkeypatch.setattr(generate_run.GenerateRun, "_write", write)
        write(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(generate_run.GenerateRun, "_write", write_once)
    ran = ask("-m", "first/m", "-m", "first/n", "--output", str(old), "hi")
    assert (ran.status, old.read_text(), left(old.parent)) == (130, "old", ["out.txt"])
    assert ran.out.startswith("== first/m ==\nan answer\n")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is empty"),
        (".", "is a folder"),
        ("nowhere/x", "cannot be written: there is no folder "),
        ("loop", "is a link to itself"),
        ("x" * 300, "cannot be written: File name too long"),
        ("socket", "cannot be written: "),
    ],
)
def test_a_file_that_cannot_be_written_is_reported_before_anything_is_sent(
    ask: Run, provider: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    """An answer that can be put nowhere is not paid for; status 2."""
    import socket

    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        ran = ask("-m", "first/m", "--output", path, "hi")
    assert (ran.status, provider.requests) == (2, [])
    assert ran.err.startswith(f"llm-sync: --output {path!r} {why}")


def test_a_file_that_may_not_be_written(ask: Run, old: Path, provider: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only file is respected, though its folder would let it be replaced."""
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everything
    ran = ask("-m", "first/m", "--output", str(old), "hi")
    assert (ran.status, provider.requests, old.read_text()) == (2, [], "old")
    assert ran.err.endswith("cannot be written: permission denied\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_device_is_an_error(ask: Run) -> None:
    """What could not be written must not look like success; the message names the option."""
    ran = ask("-m", "first/m", "--output", "/dev/full", "hi")
    wording = (
        "llm-sync: --output '/dev/full' cannot be written: No space left on device; the answers it lacks are on standard output\n"
    )
    assert ran == (1, "an answer\n", wording)


@pytest.mark.skipif(os.name != "posix", reason="links have no owners here")
@pytest.mark.parametrize("more", [[], ["--append"]], ids=["replace", "append"])
@pytest.mark.parametrize("path", ["link", "folder/out.txt", "dangling"])
def test_a_link_of_another_user_is_not_followed(
    ask: Run, old: Path, provider: Simulator, monkeypatch: pytest.MonkeyPatch, path: str, more: list[str]
) -> None:
    """As in /tmp: it would lead the answers to a file that the other user chose. One's own links are followed."""
    monkeypatch.chdir(old.parent)
    os.symlink("out.txt", "link")
    os.symlink(".", "folder")
    os.symlink("new.txt", "dangling")
    lstat = os.lstat

    def of_another_user(name: str | os.PathLike[str]) -> os.stat_result:
        fields = list(lstat(name))
        if os.path.basename(name) in ("link", "folder", "dangling"):
            fields[4] = 54321
        return os.stat_result(fields)

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", of_another_user)
        ran = ask("-m", "first/m", "--output", path, *more, "hi")
    assert (ran.status, ran.out, provider.requests, old.read_text()) == (2, "", [], "old")
    assert "it is reached through a link of another user" in ran.err
    assert not Path("new.txt").exists()
    assert ask("-m", "first/m", "--output", path, *more, "hi").status == 0


def test_a_device_is_written_to_not_replaced(ask: Run) -> None:
    """/dev/null stays what it is."""
    assert ask("-m", "first/m", "--output", "/dev/null", "hi") == (0, "", "")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_failing_disk_leaves_the_old_file(ask: Run, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file replaces the old one only when it is synced; if that fails it stays beside it, and the message says so."""

    def fail(number: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    ran = ask("-m", "first/m", "--output", str(old), "hi")
    assert (ran.status, old.read_text()) == (1, "old")
    beside, mine = left(old.parent)
    assert (mine, (old.parent / beside).read_text()) == ("out.txt", "an answer\n")
    assert ran.err.endswith(f"cannot be written: Input/output error; the answers are in {str(old.parent / beside)!r}\n")


def test_what_does_not_fit_is_on_standard_output(ask: Run, old: Path, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up between two answers: both are paid for, and printed; the old file stays, and nothing beside it."""
    answers = iter(["one", "two"])
    put = Output._write_all

    def fill(self: Output, content: bytes) -> None:
        if content.endswith(b"two\n") and not self.is_stdout:
            raise OSError(28, "No space left on device")
        put(self, content)

    monkeypatch.setattr(Output, "_write_all", fill)
    for model in ("m", "n"):
        script.answer(next(answers), model=model)
    ran = ask("-m", "first/m", "-m", "first/n", "--output", str(old), "hi")
    assert (ran.status, old.read_text(), left(old.parent)) == (1, "old", ["out.txt"])
    assert ran.out == "== first/m ==\none\n\n== first/n ==\ntwo\n"
    assert ran.err.endswith("No space left on device; the answers it lacks are on standard output\n")


def test_a_file_that_may_not_grow(start: Run, config: str, tmp_path: Path, script: Any) -> None:
    """With a real limit: the error is printed once, with the name of the file."""
    import resource

    script.answer("x" * 100_000)
    process = start(
        *("generate", "--config", config, "-m", "first/m", "--output", "out", "hi"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, b"x" * 100_000 + b"\n")
    assert err == b"llm-sync: --output 'out' cannot be written: File too large; the answers it lacks are on standard output\n"
    assert left(tmp_path) == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_file_is_closed_before_it_is_renamed_or_deleted(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows does neither to one that is open."""
    closed: list[bool] = []
    for name in ("replace", "unlink"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *paths, real=real: (closed.append(output._stream.closed), real(*paths)))
    with open_output(str(tmp_path / "out")) as output:
        output.write("an answer")
        if not kept:
            output.discard()
    assert (closed, [path.name for path in tmp_path.iterdir()]) == ([True], ["out"] if kept else [])


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_block_is_waited_for(buffering: int) -> None:
    """Node.js, for one, leaves such pipes to the programs it starts: what does not fit at once is not lost."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    read: list[bytes] = []

    def take() -> None:
        with open(reading, "rb") as file:
            read.append(file.read())

    reader = threading.Thread(target=take)
    text = "a line\n" * 100_000
    with open(writing, "wb", buffering=buffering) as stream:
        output = Output(stream, "a test")
        waits = output._wait_until_writable

        def wait() -> None:
            if not reader.ident:  # the pipe is full: somebody begins to read
                reader.start()
            waits()

        output._wait_until_writable = wait  # type: ignore[method-assign]
        output.write(text)
    reader.join(20)
    assert b"".join(read) == text.encode()


def test_control_characters_are_shown_not_obeyed() -> None:
    """What a terminal would act on is made visible; text, tabs and line ends stay."""
    assert terminal.escape_controls("\x1b[2J\x07 a\tb\nc\r\nd\re \x7f \x9b31m é 😀") == "␛[2J␇ a\tb\nc\nd␍e ␡ \\x9b31m é 😀"
    assert terminal.escape_controls("rm\u202e fr- \u2066x\u2069 \u200fא") == "rm\\u202e fr- \\u2066x\\u2069 \u200fא"


@pytest.mark.parametrize(
    "character",
    [*map(chr, (0x85, 0x2028, 0x2029)), *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x2070)), "\ufff9", "\ufffb"],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_line_separators_and_direction_controls_are_shown(character: str) -> None:
    """An answer cannot begin a line that looks like a message of ours, nor turn text round."""
    shown = terminal.escape_controls(f"answer{character}llm-sync: all is well")
    assert shown == f"answer{character.encode('unicode_escape').decode()}llm-sync: all is well"
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    "character", [*"\t\n ", "\xa0", "\u200d", "\u200e", "\u200f", "\u061c", "\u3000", "\ufeff", "é"], ids=ascii
)
def test_characters_of_texts_stay(character: str) -> None:
    """What languages and emoji need is not touched."""
    assert terminal.escape_controls(f"a{character}b") == f"a{character}b"


def test_an_answers_escapes_in_an_error_are_shown_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages may hold a provider's words."""
    import sys

    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setenv("NO_COLOR", "1")
    messages.print_error("bad \x1b[31m")
    assert capsys.readouterr().err == "llm-sync: bad ␛[31m\n"


def test_a_lone_surrogate_is_written_as_an_escape() -> None:
    """UTF-8 cannot write what a dialect may let through; in JSON the escape is read back as what it was."""
    written = io.BytesIO()
    Output(written, "a test").write(json.dumps("a\ud800b é", ensure_ascii=False))
    assert json.loads(written.getvalue()) == "a\ud800b é"


def test_a_json_line_goes_to_the_file(ask: Run, script: Any, tmp_path: Path) -> None:
    """--json and --output together: JSON Lines in the file, whatever the answer holds."""
    script.answer("one\ntwo\u2028three")
    ask("-m", "first/m", "--json", "--output", str(tmp_path / "a.jsonl"), "hi")
    assert (tmp_path / "a.jsonl").read_text().count("\n") == 1
