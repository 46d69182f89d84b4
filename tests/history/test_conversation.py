"""Conversations on the disk: whole turns in the order in which processes got them, whatever happens to the file."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.history import conversation, folder, overview
from llm_sync.history.conversation import Conversation
from llm_sync.history.folder import NoConversation
from llm_sync.history.turn import FORMAT, Turn, UnreadableLine, decode, encode, turn_of
from llm_sync.models import Message, ModelResponse, Part, ToolCall, Usage
from llm_sync.models.documents import load_document
from llm_sync.models.images import load_image

POINT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44"
    "ae426082"
)
NAME = "20261130-174703-a1b2c3"


def turn(text: str, answer: str = "yes") -> Turn:
    """A turn in which this was asked."""
    return Turn((Message("user", text),), Message("assistant", answer), "p/m", "2026-11-30T17:47:03.000+00:00")


@pytest.fixture
def home(tmp_path: Path) -> str:
    """Where conversations are kept."""
    return str(tmp_path / "state" / "history")


@pytest.fixture
def begun(home: str) -> Callable[..., str]:
    """``begun("a", "b")``: the name of a new conversation with these turns."""

    def begin(*texts: str) -> str:
        made = Conversation.create(home)
        for text in texts:
            made.append(encode(turn(text)))
        made.close()
        return made.name

    return begin


def asked(home: str, name: str) -> list[str | None]:
    """What was asked in a conversation, in its order."""
    return [each.asked[0].content for each in conversation.read(home, name).turns]


# Turns ---------------------------------------------------------------------------------------------------------------------


def test_a_turn_comes_back_as_it_was() -> None:
    """With state, tool calls, files and every character; files as data URLs, which need nothing else."""
    state = {"dialect": "openai", "host": "h", "model": "m", "data": [{"encrypted": "…"}]}
    parts = ["see", Part("image", source=load_image(POINT)), Part("document", source=load_document(b"rain", "a.txt"))]
    response = ModelResponse(
        "an\u2028swer\x1b[0m",
        "m-1",
        "p",
        "tool_calls",
        Usage(1, 2),
        datetime(2026, 11, 30, 17, 47, 3, tzinfo=timezone.utc),
        5.0,
        tool_calls=(ToolCall("c", "add", {"a": 1}, '{"a": 1}', state),),
        cost_estimate=0.5,
        metadata={"state": state},
    )
    made = turn_of([Message("user", parts=parts), Message("user", "", images=[load_image(POINT)])], response, "p/m", "Be brief.")
    line = encode(made)
    assert "\n" not in line
    read = decode(line.encode())
    assert dataclasses.replace(read, asked=()) == dataclasses.replace(made, asked=())
    assert [part.type for part in read.asked[0].parts] == ["text", "image", "document"]
    loaded = read.asked[0].with_parts(part.loaded() for part in read.asked[0].parts)
    assert [part.source.content for part in loaded.parts[1:]] == [POINT, b"rain"]
    assert load_image(read.asked[1].images[0]).content == POINT


@pytest.mark.parametrize(
    "change",
    [
        {"format": FORMAT + 1},
        {"asked": []},
        {"asked": [{"role": "user", "content": "x", "images": ["/etc/passwd"]}]},
        {"asked": [{"role": "user", "parts": [{"type": "document", "source": "/etc/passwd"}]}]},
        {"asked": [{"role": "nobody", "content": "x"}]},
        {"answer": {"role": "user", "content": "x"}},
        {"answer": None},
        {"model": 5},
        {"at": "yesterday"},
        {"usage": []},
        {"cost_estimate": True},
        {"system_prompt": ["x"]},
    ],
    ids=str,
)
def test_a_line_that_is_no_turn_is_left_out(change: dict[str, Any], home: str, begun: Callable[..., str]) -> None:
    """Of a later format, tampered with, or naming a file of the machine: the turns around it are read."""
    line = json.dumps({**turn("x").to_dict(), **change}).encode()
    with pytest.raises(UnreadableLine):
        decode(line)
    name = begun("a")
    with open(folder.path_of(home, name), "ab") as file:
        file.write(line + b"\n" + b"[" * 100_000 + b"\n\xff\xfe\n\n" + encode(turn("b")).encode() + b"\n")
    assert asked(home, name) == ["a", "b"]
    assert conversation.read(home, name).damaged == 3


# Writing -------------------------------------------------------------------------------------------------------------------


def test_files_are_for_their_owner_only(home: str, begun: Callable[..., str]) -> None:
    """Mode 0600 in a folder of mode 0700, whatever the umask."""
    umask = os.umask(0)
    try:
        name = begun("a")
    finally:
        os.umask(umask)
    assert os.stat(home).st_mode & 0o777 == 0o700
    assert os.stat(folder.path_of(home, name)).st_mode & 0o777 == 0o600


def test_a_turn_is_written_whole_or_not_at_all(home: str, begun: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the file stays as it was, wherever the write stops."""
    name = begun("a")
    before = Path(folder.path_of(home, name)).read_bytes()
    write = os.pwrite
    for written in (0, 1, 20):
        taken = Conversation.take(home, name)

        def full(descriptor: int, content: Any, at: int, written: int = written) -> int:
            if at > len(before):
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, content[: written or 1], at)

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            taken.append(encode(turn("b")))
        monkeypatch.setattr(os, "pwrite", write)
        taken.close()
        assert Path(folder.path_of(home, name)).read_bytes() == before


def test_a_turn_cut_at_any_byte_costs_no_other(home: str, begun: Callable[..., str]) -> None:
    """Killed in the middle of a line: the earlier turns are read, and the next turn begins a line of its own."""
    name = begun("a")
    path = Path(folder.path_of(home, name))
    whole, line = path.read_bytes(), encode(turn("b")).encode() + b"\n"
    for size in range(len(line) + 1):
        path.write_bytes(whole + line[:size])
        taken = Conversation.take(home, name)
        survived = size == len(line)
        assert [each.asked[0].content for each in taken.content().turns] == ["a", "b"][: 1 + survived]
        taken.append(encode(turn("c")))
        taken.close()
        ends_well = size == len(line) - 1  # only its line end was missing, which the next turn adds
        assert asked(home, name) == ["a", *(["b"] if survived or ends_well else []), "c"]


def test_a_conversation_that_nobody_could_read_is_not_written(
    home: str, begun: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is larger than is read would be lost with all turns before it."""
    name = begun("a")
    monkeypatch.setattr(folder, "MAX_BYTES", 1_000)
    taken = Conversation.take(home, name)
    with pytest.raises(OSError, match="it would be larger than"):
        taken.append(encode(turn("b" * 1_000)))
    taken.close()
    assert asked(home, name) == ["a"]


def test_one_in_which_nothing_was_said_leaves_no_file(home: str) -> None:
    """A request that failed keeps nothing."""
    Conversation.create(home).close()
    assert os.listdir(home) == []


# Several processes: locks belong to open files, so that threads show what processes do ----------------------------------------


def test_everyone_sees_all_turns_before_its_own(home: str, begun: Callable[..., str]) -> None:
    """Twenty at once: nothing is lost or mixed, and each turn knows all that stand before it."""
    name = begun("begin")
    failures: list[BaseException] = []

    def go_on(number: int) -> None:
        try:
            taken = Conversation.take(home, name)
            seen = len(taken.content().turns)
            taken.append(encode(turn(f"{number} after {seen}" + "x" * 5000)))
            taken.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert failures == []
    texts = [(text or "").rstrip("x").split(" after ") for text in asked(home, name)[1:]]
    assert sorted(int(number) for number, _ in texts) == list(range(20))
    assert [int(seen) for _, seen in texts] == list(range(1, 21))


def test_who_waits_hears_of_it_and_gets_its_turn(home: str, begun: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation is read when it is this process's own, so that it has the other's turn."""
    name = begun("a")
    first = Conversation.take(home, name)
    monkeypatch.setattr(conversation, "_SAYS_AFTER_S", 0.0)

    def other_ends() -> None:
        first.append(encode(turn("b")))
        first.close()

    second = Conversation.take(home, name, other_ends)
    assert [each.asked[0].content for each in second.content().turns] == ["a", "b"]
    second.close()


def test_one_in_use_is_not_deleted_and_one_that_is_deleted_is_gone(
    home: str, begun: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waits for it learns that, instead of writing to a file that nobody finds."""
    name = begun("a")
    first = Conversation.take(home, name)
    assert not conversation.delete(home, name)
    monkeypatch.setattr(conversation, "_SAYS_AFTER_S", 0.0)

    def deletes() -> None:
        first.close()
        assert conversation.delete(home, name)

    with pytest.raises(NoConversation, match="is gone"):
        Conversation.take(home, name, deletes)
    for do in (conversation.read, conversation.delete, Conversation.take):
        with pytest.raises(NoConversation, match="is gone"):
            do(home, name)


# Files and names that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        f"../{NAME}",
        f"{NAME}\0",
        f"{NAME}\n",
        f"{NAME}/x",
        "٢" + NAME[1:],
        "x" * 9999,
    ],
    ids=repr,
)
def test_a_name_leads_nowhere_else(name: str, home: str, begun: Callable[..., str]) -> None:
    """Names are made here; anything else is no name."""
    begun("a")
    for do in (folder.path_of, folder.find, conversation.read, conversation.delete, Conversation.take):
        with pytest.raises(NoConversation):
            do(home, name)


def test_the_beginning_of_a_name_is_enough_if_it_is_the_only_one(home: str, begun: Callable[..., str]) -> None:
    """Otherwise nothing is guessed."""
    first = begun("a")
    assert folder.find(home, first[:4]) == first
    begun("b")
    with pytest.raises(NoConversation, match="is the beginning of several names"):
        folder.find(home, first[:4])
    assert folder.find(home, first) == first


def test_the_last_one_is_the_one_used_last(home: str, begun: Callable[..., str]) -> None:
    """Whichever began first."""
    with pytest.raises(NoConversation, match="there is no conversation to go on with"):
        folder.last(home)
    older, newer = begun("a"), begun("b")
    for name, used in ((older, 1_000), (newer, 2_000)):
        os.utime(folder.path_of(home, name), (used, used))
    assert folder.last(home) == newer
    taken = Conversation.take(home, older)
    taken.append(encode(turn("c")))
    taken.close()
    assert [each.prompt for each in overview.overviews(home)] == ["a", "b"]


def test_what_is_no_conversation_is_left_out(home: str, begun: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, pipes, folders, huge files, and files of another user; and none is opened by its name."""
    good = begun("a")
    outside = Path(home).parent / "outside"
    outside.write_text(encode(turn("secret")) + "\n")
    names = [f"20261130-17470{number}-a1b2c3" for number in range(4)]
    paths = [folder.path_of(home, name) for name in names]
    os.symlink(outside, paths[0])
    os.mkfifo(paths[1])
    os.mkdir(paths[2])
    Path(paths[3]).touch()
    os.truncate(paths[3], folder.MAX_BYTES + 1)
    Path(home, "note.txt").write_text("x")
    assert folder.names(home) == [good]
    for name in names:
        for do in (conversation.read, conversation.delete, Conversation.take):
            with pytest.raises(ConfigurationError, match="cannot be used"):
                do(home, name)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        folder.names(home)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        conversation.read(home, good)


def test_a_folder_of_another_kind_is_refused(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a file, one that others can read, one of another user: before anything is written."""
    path = Path(home)
    path.parent.mkdir()
    (path.parent / "real").mkdir(mode=0o700)
    path.symlink_to(path.parent / "real")
    for do in (Conversation.create, folder.names):
        with pytest.raises(ConfigurationError, match="is a link"):
            do(home)
    path.unlink()
    path.write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Conversation.create(home)
    path.unlink()
    path.mkdir(mode=0o755)
    os.chmod(path, 0o755)  # noqa: S103  (what is refused)
    with pytest.raises(ConfigurationError, match="is accessible to others"):
        Conversation.create(home)
    os.chmod(path, 0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Conversation.create(home)
    assert os.listdir(home) == []


def test_a_text_is_found_in_whatever_case(home: str, begun: Callable[..., str]) -> None:
    """In prompts and answers, with its turn."""
    name = begun("Straße", "nothing")
    assert [(match.name, match.turn, match.role) for match in overview.search(home, "STRASSE")] == [(name, 1, "user")]
    assert [match.turn for match in overview.search(home, "YES")] == [1, 2]
    assert list(overview.search(home, "no such")) == []


@pytest.mark.parametrize(
    ("text", "wanted", "start"), [("ßßß Straße", "STRASSE", 4), ("ﬃ x", "X", 2), ("ß", "s", 0), ("aß", "SS", 1)]
)
def test_a_text_is_found_where_it_stands(home: str, begun: Callable[..., str], text: str, wanted: str, start: int) -> None:
    """Also behind characters that are several in small letters."""
    begun(text, "nothing")
    (match,) = (match for match in overview.search(home, wanted) if match.role == "user" and match.text == text)
    assert match.start == start
