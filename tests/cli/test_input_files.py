"""Which files the command line reads: regular ones and descriptors of limited size, no device, no named pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli import input_files
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.simulator import Simulator

Run = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n rest"
READERS = {
    "input": ["--input", "FILE"],
    "system-file": ["--system-file", "FILE", "hi"],
    "messages": ["--messages", "FILE"],
    "schema": ["--schema", "FILE", "hi"],
    "image": ["--image", "FILE", "hi"],
}
CONTENT = {
    "messages": b'[{"role": "user", "content": "what the pipe holds"}]',
    "schema": b'{"type": "object"}',
    "image": PNG,
}


def words_for(reader: str, path: str) -> list[str]:
    """The command line that makes the reader read the path."""
    return ["-m", "first/m", *(path if word == "FILE" else word for word in READERS[reader])]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["named pipe", "device", "socket", "folder"])
def test_what_may_block_or_never_end_is_refused(
    ask: Run, provider: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, kind: str
) -> None:
    """At once, before anything is sent, with the option and the reason."""
    monkeypatch.chdir(tmp_path)
    path, why = {
        "named pipe": ("pipe", "it is a named pipe, not a regular file; pass its content as <(cat pipe)"),
        "device": ("/dev/zero", "it is a device, not a regular file"),
        "socket": ("socket", "it is a socket, not a regular file"),
        "folder": (".", "Is a directory"),
    }[kind]
    os.mkfifo("pipe")
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        ran = ask(*words_for(reader, path))
    assert (ran.status, ran.out, provider.requests) == (2, "", [])
    assert ran.err == f"llm-sync: {READERS[reader][0]} {path!r} cannot be read: {why}\n"


@pytest.mark.parametrize("reader", READERS)
def test_a_link_to_a_device_is_a_device(ask: Run, tmp_path: Path, reader: str) -> None:
    """However often it is linked."""
    (tmp_path / "one").symlink_to("/dev/zero")
    (tmp_path / "two").symlink_to("one")
    assert "it is a device" in ask(*words_for(reader, str(tmp_path / "two"))).err


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="there is no /dev/fd here")
@pytest.mark.parametrize("reader", [name for name in READERS if name != "schema"])
def test_process_substitution_works(start: Run, config: str, provider: Simulator, reader: str) -> None:
    """A shell's ``<(…)`` is /dev/fd/N: a pipe that this command line made, for everything but the output."""
    content = CONTENT.get(reader, b"what the pipe holds")
    reading, writing = os.pipe()
    words = words_for(reader, f"/dev/fd/{reading}")
    process = start("generate", "--config", config, *words, pass_fds=[reading])
    os.close(reading)
    with open(writing, "wb") as stream:
        stream.write(content)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"an answer\n", b"")
    sent = str(provider.requests[0].payload["messages"])
    assert ("image/png" if reader == "image" else "what the pipe holds") in sent


def test_a_configuration_may_come_from_process_substitution(start: Run, config: str) -> None:
    """As in ``--config <(sops -d llms.yaml)``: it is read once."""
    reading, writing = os.pipe()
    process = start("generate", "--config", f"/dev/fd/{reading}", "-m", "first/m", "hi", pass_fds=[reading])
    os.close(reading)
    with open(writing, "wb") as stream:
        stream.write(Path(config).read_bytes())
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"an answer\n", b"")


@pytest.mark.parametrize("option", ["--config", "--answers", "--script"])
@pytest.mark.parametrize(("path", "why"), [("pipe", "it is a named pipe"), ("/dev/zero", "it is a device")])
def test_configurations_and_answer_files_are_regular_files(
    llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, path: str, why: str
) -> None:
    """A named pipe would hang the command, a device would fill the memory."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    path = path if path.startswith("/") else f"./{path}"
    ran = llm("show", option, path) if option == "--config" else llm("simulate", option, path, "--", "true")
    assert (ran.status, ran.out) == (3, "")
    assert f"cannot be read: {why}, not a regular file" in ran.err


def test_an_endless_standard_input_ends(start: Run, config: str, provider: Simulator) -> None:
    """``yes | llm-sync generate`` is refused once it is over the limit."""
    yes = subprocess.Popen(
        [sys.executable, "-c", "while True: print('y' * 100000)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        process = start("generate", "--config", config, "-m", "first/m", stdin=yes.stdout)
        out, err = process.communicate(timeout=60)
    finally:
        yes.kill()
        yes.communicate()
    assert (process.returncode, out, err) == (2, b"", b"llm-sync: standard input is larger than 64 MiB\n")
    assert provider.requests == []


def test_the_limit_is_inclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the largest size is read, one byte more is not."""
    monkeypatch.setattr(input_files, "MAX_TEXT_BYTES", 10)
    path = tmp_path / "text"
    path.write_text("x" * 10)
    assert input_files.read_text("--input", str(path)) == "x" * 10
    path.write_text("x" * 11)
    with pytest.raises(UsageError, match="is larger than"):
        input_files.read_text("--input", str(path))


def test_the_null_device_is_an_empty_file(ask: Run) -> None:
    """It ends at once; scripts pass it for nothing."""
    assert "contains no prompt: it is empty" in ask("-m", "first/m", "--input", "/dev/null").err


# Images that the messages of a file name --------------------------------------------------------------------------------


@pytest.fixture
def conversation(tmp_path: Path) -> Callable[[str], str]:
    """Writes inbox/messages.json, whose one message has the image; returns its path."""
    (tmp_path / "inbox" / "pictures").mkdir(parents=True)
    (tmp_path / "inbox" / "pictures" / "cat.png").write_bytes(PNG)
    (tmp_path / "private.png").write_bytes(PNG)

    def write(image: str) -> str:
        path = tmp_path / "inbox" / "messages.json"
        path.write_text(f'[{{"role": "user", "content": "what?", "images": ["{image}"]}}]')
        return str(path)

    return write


def test_images_below_the_folder_of_the_messages_are_sent(ask: Run, tmp_path: Path, conversation: Callable[[str], str]) -> None:
    """By absolute path here; a relative one is below the working folder."""
    path = conversation(str(tmp_path / "inbox" / "pictures" / "cat.png"))
    assert ask("-m", "first/m", "--messages", path).status == 0


@pytest.mark.parametrize("image", ["FOLDER/private.png", "FOLDER/inbox/../private.png", "FOLDER/inbox/link.png"])
def test_images_elsewhere_need_a_permission(
    ask: Run, provider: Simulator, tmp_path: Path, conversation: Callable[[str], str], image: str
) -> None:
    """A conversation from somebody else cannot make llm-sync send any other picture of the user's."""
    (tmp_path / "inbox" / "link.png").symlink_to(tmp_path / "private.png")
    path = conversation(image.replace("FOLDER", str(tmp_path)))
    ran = ask("-m", "first/m", "--messages", path)
    assert (ran.status, provider.requests) == (2, [])
    assert "allow its folder with --allow-files DIR" in ran.err
    assert ask("-m", "first/m", "--messages", path, "--allow-files", str(tmp_path)).status == 0


@pytest.mark.parametrize(
    ("make", "why"), [(os.mkfifo, "not a regular file"), (lambda path: os.symlink("/dev/zero", path), "below")]
)
def test_an_image_that_is_no_regular_file_is_refused(
    ask: Run, tmp_path: Path, conversation: Callable[[str], str], make: Callable[[str], None], why: str
) -> None:
    """It would hang, or fill the memory."""
    make(str(tmp_path / "inbox" / "pictures" / "trap.png"))
    ran = ask("-m", "first/m", "--messages", conversation(str(tmp_path / "inbox" / "pictures" / "trap.png")))
    assert (ran.status, why in ran.err) == (2, True)


def test_messages_on_standard_input_name_images_below_the_working_folder(
    ask: Run, tmp_path: Path, conversation: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is meant from there anyway."""
    monkeypatch.chdir(tmp_path / "inbox")
    content = Path(conversation("pictures/cat.png")).read_bytes()
    assert ask("-m", "first/m", "--messages", "-", stdin=content).status == 0
    content = Path(conversation(str(tmp_path / "private.png"))).read_bytes()
    assert ask("-m", "first/m", "--messages", "-", stdin=content).status == 2
