"""``generate -c`` and ``--history``, and ``llm-sync history``."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.history import conversation as conversations
from llm_sync.history.conversation import Conversation

Ask = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the history is kept, if any is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "llm-sync" / "history"


@pytest.fixture
def ask(llm: Ask, config: str, home: Path) -> Ask:
    """Runs ``generate`` with a default model."""
    path = Path(config)
    path.write_text(path.read_text().replace("defaults: {", "defaults: {model: first/m, "))
    return lambda *arguments, **options: llm("generate", "--config", config, *arguments, **options)


def lines(home: Path) -> list[dict[str, Any]]:
    """The turns of the only conversation."""
    (path,) = home.iterdir()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_nothing_is_kept_by_default(ask: Ask, home: Path, llm: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no folder, and no module of the history is imported."""
    for name in [name for name in sys.modules if name.startswith("llm_sync.history")]:
        monkeypatch.delitem(sys.modules, name)
    assert ask("Say hello").status == 0
    assert not home.parent.exists()
    assert not any(name.startswith("llm_sync.history") for name in sys.modules)
    ran = ask("-c", "And?")
    assert ran.status == 2
    assert "there is no conversation to go on with" in ran.err
    assert llm("history").out == ""
    assert not home.exists()


def test_a_conversation_goes_on(ask: Ask, home: Path, script: Any, provider: Any, llm: Ask) -> None:
    """With its model, its system prompt and all earlier turns; each turn is kept."""
    script.answer("Hello, Ada.", model="n")
    assert ask("--history", "-m", "first/n", "-s", "Be brief.", "I am Ada.").out == "Hello, Ada.\n"
    script.answer("Ada.", model="n")
    assert ask("-c", "Who am I?").out == "Ada.\n"
    sent = provider.requests[-1].payload
    assert sent["model"] == "n"
    assert [(each["role"], each["content"]) for each in sent["messages"]] == [
        ("system", "Be brief."),
        ("user", "I am Ada."),
        ("assistant", "Hello, Ada."),
        ("user", "Who am I?"),
    ]
    kept = lines(home)
    assert [each["asked"] for each in kept] == [[{"role": "user", "content": text}] for text in ("I am Ada.", "Who am I?")]
    record = json.loads(ask("-c", "--json", "-m", "second/m", "And now?").out)
    assert record["conversation"] == next(home.iterdir()).stem
    assert record["provider"] == "second"
    assert [each["model"] for each in lines(home)] == ["first/n", "first/n", "second/m"]
    assert len(provider.requests[-1].payload["messages"]) == 6
    shown = llm("history", "show").out
    assert [line for line in shown.splitlines() if line.startswith("== user")] == ["== user =="] * 3
    assert "Hello, Ada." in shown


def test_the_configuration_may_keep_everything(ask: Ask, home: Path, config: str) -> None:
    """``history: true``; --no-history keeps one request out. Several models have a conversation each."""
    Path(config).write_text(Path(config).read_text() + "history: true\n")
    assert ask("--no-history", "secret").status == 0
    assert not home.exists()
    assert ask("-m", "first/m", "-m", "second/m", "one").status == 0
    assert len(list(home.iterdir())) == 2


def test_a_key_is_not_kept(ask: Ask, home: Path, key: str, script: Any) -> None:
    """Neither one that the user has pasted nor one that the answer repeats."""
    script.answer(f"Your key is {key}.")
    ask("--history", f"Is {key} my key?")
    text = next(home.iterdir()).read_text()
    assert key not in text
    assert text.count("[key]") == 2


def test_a_failed_request_keeps_nothing(ask: Ask, home: Path, script: Any) -> None:
    """The conversation stays as it was, or does not begin."""
    script.fail(400)
    assert ask("--history", "one").status == 7
    assert list(home.iterdir()) == []
    ask("--history", "two")
    script.fail(400)
    assert ask("-c", "three").status == 7
    assert len(lines(home)) == 1


def test_a_full_disk_costs_no_answer(ask: Ask, home: Path, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is printed; the exit status and a line on standard error say that it is not kept."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    script.answer("paid for")
    ran = ask("--history", "one")
    assert (ran.status, ran.out) == (1, "paid for\n")
    assert "the answer is not in the conversation" in ran.err
    assert "No space left" in ran.err
    assert list(home.iterdir()) == []


def test_a_history_that_cannot_be_written_costs_nothing(ask: Ask, home: Path, provider: Any) -> None:
    """It is found before anything is sent."""
    home.mkdir(parents=True, mode=0o755)
    os.chmod(home, 0o755)  # noqa: S103  (what is refused)
    ran = ask("--history", "one")
    assert ran.status == 3
    assert "is accessible to others" in ran.err
    assert provider.requests == []


def test_an_answer_that_cannot_be_printed_is_kept(ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is paid for."""
    monkeypatch.setattr("llm_sync.cli.generate_run.GenerateRun._print", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert ask("--history", "one").status == 130
    assert len(lines(home)) == 1


def test_files_are_part_of_the_conversation(ask: Ask, home: Path, provider: Any, tmp_path: Path) -> None:
    """Also when they are gone from the disk."""
    note = tmp_path / "note.txt"
    note.write_text("Rain all day.")
    ask("--history", "--file", str(note), "How is the weather?")
    note.unlink()
    assert ask("-c", "And tomorrow?").status == 0
    assert "Rain all day." in json.dumps(provider.requests[-1].payload)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-c", "-m", "first/m", "-m", "second/m", "x"], "a conversation goes on with one model"),
        (["-c", "--messages", "-"], "leave --messages out"),
        (["--conversation", "no-such", "x"], "'no-such' is the name of no conversation"),
        (["--conversation", "../../etc", "x"], "is the name of no conversation"),
    ],
)
def test_what_cannot_go_on_is_refused(ask: Ask, provider: Any, arguments: list[str], problem: str) -> None:
    """Before anything is sent."""
    ask("--history", "one")
    ran = ask(*arguments, stdin=b'[{"role": "user", "content": "x"}]')
    assert ran.status == 2
    assert problem in ran.err
    assert len(provider.requests) == 1


def test_damaged_lines_are_reported(ask: Ask, home: Path, llm: Ask, provider: Any) -> None:
    """And left out of what is sent and shown; a conversation without any turn is refused."""
    ask("--history", "one")
    (path,) = home.iterdir()
    path.write_text("{cut\n" + path.read_text())
    ran = ask("-c", "two")
    assert ran.status == 0
    assert "1 damaged line, left out" in ran.err
    assert len(provider.requests[-1].payload["messages"]) == 3
    assert "1 damaged line, left out" in llm("history", "show").err
    assert "2 turns, 1 damaged line" in llm("history", "list").out
    path.write_text("{cut\n")
    assert "holds no turn that can be read" in ask("-c", "three").err


def test_an_empty_history_says_so(llm: Ask, home: Path) -> None:
    """On standard error, with what begins a conversation; standard output stays empty."""
    ran = llm("history")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == f"llm-sync: there are no conversations in {home}; 'llm-sync generate --history' begins one\n"
    assert f"no prompt and no answer in {home} contains 'x'" in llm("history", "search", "x").err


def test_history_lists_searches_and_deletes(ask: Ask, home: Path, llm: Ask) -> None:
    """As text and as JSON; a conversation in use is not deleted."""
    for prompt in ("the first\x1b[31m prompt", "the second"):
        ask("--history", prompt)
    listed = [json.loads(line) for line in llm("history", "list", "--json").out.splitlines()]
    assert sorted(each["prompt"] for each in listed) == ["the first\x1b[31m prompt", "the second"]
    assert len(llm("history", "--limit", "1").out.splitlines()) == 1
    assert len(llm("history", "--limit", "9" * 30).out.splitlines()) == 2
    (match,) = (json.loads(line) for line in llm("history", "search", "FIRST", "--json").out.splitlines())
    assert (match["turn"], match["role"]) == (1, "user")
    name = match["conversation"]
    turns = [json.loads(line) for line in llm("history", "show", name, "--json").out.splitlines()]
    assert [(each["conversation"], each["turn"]) for each in turns] == [(name, 1)]
    taken = Conversation.take(str(home), name)
    ran = llm("history", "delete", "--all", "--yes")
    assert ran.status == 2
    assert f"in use by another llm-sync, and not deleted: {name}" in ran.err
    assert [path.stem for path in home.iterdir()] == [name]
    taken.close()
    assert llm("history", "delete", name[:-1]).out == "1 conversation deleted\n"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show", "x"], "is the name of no conversation"),
        (["show"], "there is no conversation"),
        (["show", ""], "'' is the name of no conversation"),
        (["show", "a", "b"], "shows one conversation"),
        (["list", "x"], "history list takes none"),
        (["search", " "], "needs a TEXT"),
        (["delete"], "needs an ID, or --all"),
        (["delete", "x", "--all"], "needs an ID, or --all"),
        (["show", "--all"], "are for history delete"),
        (["show", "--limit", "1"], "is for history list and history search"),
        (["forget"], "invalid choice"),
    ],
)
def test_mistakes_are_usage_errors(llm: Ask, home: Path, arguments: list[str], problem: str) -> None:
    """With status 2 and what to do instead."""
    ran = llm("history", *arguments)
    assert ran.status == 2
    assert problem in ran.err


def test_all_is_deleted_only_after_a_yes(ask: Ask, home: Path, llm: Ask) -> None:
    """Without a terminal there is nobody to ask."""
    ask("--history", "one")
    assert llm("history", "delete", "--all").status == 2
    assert len(list(home.iterdir())) == 1
    assert json.loads(llm("history", "delete", "--all", "--yes", "--json").out)["in_use"] == []
    assert list(home.iterdir()) == []


def test_a_wait_for_another_process_is_said(ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the request is sent when the other has ended, with its turn."""
    ask("--history", "one")
    other = Conversation.take(str(home), next(home.iterdir()).stem)
    monkeypatch.setattr(conversations, "_SAYS_AFTER_S", 0.0)
    say = "llm_sync.cli.generate_history.GenerateHistory._say_wait"
    said: list[str] = []
    monkeypatch.setattr(say, lambda _: (said.append("waiting"), other.close()))
    assert ask("-c", "two").status == 0
    assert said == ["waiting"]
    assert len(lines(home)) == 2
