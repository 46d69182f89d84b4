"""How messages are written: as pairs or JSON for programs, with colours or without, quietly; with content only when asked for."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync import events
from llm_sync.cli.console import messages, terminal
from llm_sync.cli.console.log_format import json_line, pairs_line
from llm_sync.cli.console.output_settings import settings
from llm_sync.simulator import Simulator

Run = Callable[..., Any]
PROMPT, ANSWER = "prompt-marker-1", "answer-marker-2"


def fields(line: str) -> dict[str, str]:
    """The pairs of a line."""
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))


def test_debug_logs_every_step(ask: Run, script: Any) -> None:
    """Configuration, route, payload, queue depth, attempts, waits, retries, connections, validation: each with its facts."""
    script.fail(503, "overloaded")
    script.answer(ANSWER)
    ran = ask("-vv", "-m", "first/m", PROMPT)
    lines = [fields(line) for line in ran.err.splitlines()]
    printed = {line["message"].strip('"') for line in lines}
    assert printed >= {
        "configuration read",
        "route",
        "payload",
        "exchange",
        "validation passed",
        "Queued",
        "Started",
        "AttemptStarted",
        "AttemptEnded",
        "Retrying",
        "Waiting",
        "Finished",
    }
    by_message = {line["message"].strip('"'): line for line in lines}
    assert by_message["configuration read"]["file"].endswith("two.yaml")
    assert (by_message["route"]["asked"], by_message["route"]["provider"]) == ("first/m", "first")
    assert by_message["Queued"]["depth"] == "1"
    assert by_message["exchange"]["reused"] == "true"  # the latest one, the retry
    assert '"content":"str"' in by_message["payload"]["shape"]
    assert all({"time", "level", "logger"} <= line.keys() for line in lines)


@pytest.mark.parametrize("verbose", ["-v", "-vv", "--debug"])
def test_content_is_private(ask: Run, script: Any, key: str, verbose: str) -> None:
    """However verbose, neither prompt nor answer is logged, and never the key."""
    script.answer(ANSWER)
    ran = ask(verbose, "-m", "first/m", "--system", "system-marker-3", PROMPT)
    assert ran.out == f"{ANSWER}\n"
    assert [marker for marker in (PROMPT, ANSWER, "system-marker-3", key, "0123456789abcdef") if marker in ran.err] == []


@pytest.mark.parametrize("more", [[], ["-vv"], ["--log-json"], ["-vv", "--log-json"]])
def test_content_is_logged_on_request(ask: Run, script: Any, key: str, more: list[str]) -> None:
    """--log-content adds both, with or without -v; the key stays out, though a provider sends it back or a prompt has it."""
    script.fail(503, f"the key {key} is tired")
    script.answer(ANSWER)
    ran = ask("--log-content", *more, "-m", "first/m", f"{PROMPT} {key}")
    assert ran.status == 0
    assert PROMPT in ran.err
    assert ANSWER in ran.err
    assert key not in ran.err


def test_the_library_s_own_logging_has_no_content(config: str, caplog: pytest.LogCaptureFixture) -> None:
    """A program that sets llm_sync to DEBUG gets none; one that sets llm_sync.content does."""
    from llm_sync import LLMClient

    with caplog.at_level(logging.DEBUG, "llm_sync"), LLMClient.from_config(config) as client:
        client.generate(PROMPT, "first/m")
        assert "validation passed" in caplog.text
        assert PROMPT not in caplog.text
        with caplog.at_level(logging.DEBUG, "llm_sync.content"):
            client.generate(PROMPT, "first/m")
        assert PROMPT in caplog.text
        caplog.clear()
        client.generate(PROMPT, "first/m")
        assert PROMPT not in caplog.text


def test_records_carry_their_facts(caplog: pytest.LogCaptureFixture) -> None:
    """A program's own handler need not take lines apart."""
    with caplog.at_level(logging.DEBUG, "llm_sync"):
        events.log_facts(events.logger("test"), "it happened", count=1, name="a b")
    (record,) = caplog.records
    assert record.getMessage() == "it happened count=1 name='a b'"
    assert record.__dict__["facts"] == {"count": 1, "name": "a b"}


def test_logs_as_json(ask: Run, script: Any) -> None:
    """Every line of standard error is an object, events with their fields, failures and usage errors too."""
    script.fail(503, "over\nloaded")
    script.fail(400, "no good")
    ran = ask("--log-json", "-vv", "-m", "first/m", "hi")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert ran.status == 7
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    (retry,) = (
        line
        for line in lines
        if line.get("error") == "ProviderUnavailableError" and "number" in line and line["level"] == "warning"
    )
    assert (retry["provider"], retry["number"]) == ("first", 1)
    assert lines[-1]["level"] == "error"
    assert "no good" in lines[-1]["message"]
    (usage,) = ask("--log-json", "-m", "first/m", " ").err.splitlines()
    assert json.loads(usage)["message"].startswith("the prompt is empty")


def test_quiet_prints_failures_only(ask: Run, script: Any) -> None:
    """No warning and no hint; a failure and an answer are printed."""
    script.fail(503, "overloaded")
    script.answer("half", "length")
    assert ask("--quiet", "-m", "first/m", "hi") == (0, "half\n", "")
    script.fail(400, "no good")
    assert "no good" in ask("-q", "-m", "first/m", "hi").err
    assert ask("-q", "-v", "-m", "first/m", "hi").status == 2


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ('say "x"', '"say \\"x\\""'),
        ("a=b", '"a=b"'),
        ("a\nb", '"a\\nb"'),
        ("plain", "plain"),
        (1.23456, "1.235"),
        (True, "true"),
        (None, "null"),
        ({"a": ["b c"]}, '{"a":["b c"]}'),
    ],
)
def test_pairs_can_be_taken_apart(value: object, plain: str) -> None:
    """A value that holds what separates pairs is quoted; a line end never ends the line."""
    line = pairs_line("INFO", "x", "m", {"value": value}, at=0.25)
    assert line == f"time=1970-01-01T00:00:00.250Z level=info logger=x message=m value={plain}"


def test_json_lines_take_anything() -> None:
    """What JSON cannot write is written as text."""
    line = json.loads(json_line("INFO", "x", "m\n", {"value": object, "error": ValueError("é")}, at=0))
    assert (line["time"], line["message"], line["error"]) == ("1970-01-01T00:00:00.000Z", "m\n", "é")


class Stream:
    """A stream that is a terminal, or none."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether it is."""
        return self._terminal


@pytest.mark.parametrize(
    ("color", "is_terminal", "environ", "expected"),
    [
        ("auto", True, {"TERM": "xterm"}, True),
        ("auto", False, {"TERM": "xterm"}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {"TERM": "xterm"}, False),
    ],
)
def test_when_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, color: str, is_terminal: bool, environ: dict[str, str], expected: bool
) -> None:
    """The option, then $NO_COLOR (when it has a value), then what the terminal can."""
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings, "color", color)
    assert terminal.uses_color(Stream(is_terminal)) == expected  # type: ignore[arg-type]


def test_colours_never_touch_an_answer(ask: Run, provider: Simulator, script: Any) -> None:
    """--color always: messages and headings are coloured, the answer is printed byte for byte."""
    script.fail(400, "no good", model="n")
    ran = ask("--color", "always", "-m", "first/m", "-m", "first/n", "hi")
    assert ran.out == "\x1b[1m== first/m ==\x1b[0m\nan answer\n"
    assert ran.err.startswith("\x1b[31mllm-sync:\x1b[0m first/n: no good")


def test_listings_have_colours_for_a_pager(llm: Run, config: str) -> None:
    """--color always, into a pipe: headings are bold."""
    assert llm("models", "--config", config, "--color", "always").out.startswith("\x1b[1mfirst:\x1b[0m\n")
    assert llm("models", "--config", config).out.startswith("first:\n")


def test_a_message_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Words are not broken, the rest of a sentence hangs, tables keep their indentation."""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    settings.reset()
    messages.print_error("one two three four five six seven\n  file:1: a problem with a long explanation")
    assert capsys.readouterr().err.splitlines() == [
        "llm-sync: one two three four",
        "  five six seven",
        "  file:1: a problem with a",
        "       long explanation",
    ]
