from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.errors import LLMConnectorError
from llm_sync.simulator import Response, Simulator

Run = Callable[..., Any]


def test_the_answer_alone_goes_to_standard_output(ask: Run) -> None:
    """A script gets the answer and nothing else."""
    assert ask("-m", "first/m", "hi") == (0, "an answer\n", "")


@pytest.mark.parametrize("text", ["no end", "an end\n", "two ends\n\n", "\x1b[31mred\x07\x00\r\n\ttab \x9b ünï 😀"])
def test_a_pipe_gets_the_answers_bytes(ask: Run, script: Any, text: str) -> None:
    """Control sequences are passed on as they are; a line end is added only where none is."""
    script.answer(text)
    assert ask("-m", "first/m", "hi").out == (text if text.endswith("\n") else text + "\n")


def test_tool_calls_are_printed_as_json(ask: Run, script: Any) -> None:
    """An answer that only calls tools has no text: each call is one JSON object a line, unreadable arguments as they came."""
    calls = [
        {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"where": "übers Meer"}'}},
        {"id": "2", "type": "function", "function": {"name": "wait", "arguments": "{}"}},
        {"id": "3", "type": "function", "function": {"name": "fail", "arguments": "{oops"}},
    ]
    script.answer(None, "tool_calls", tool_calls=calls)
    assert [json.loads(line) for line in ask("-m", "first/m", "hi").out.splitlines()] == [
        {"tool_call": "look", "arguments": {"where": "übers Meer"}},
        {"tool_call": "wait", "arguments": {}},
        {"tool_call": "fail", "arguments": "{oops"},
    ]


def test_text_beside_tool_calls_is_printed_too(ask: Run, script: Any) -> None:
    """Neither part of such an answer is lost."""
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    script.answer("Let me see.", "tool_calls", tool_calls=[call])
    assert ask("-m", "first/m", "hi").out == 'Let me see.\n{"tool_call": "look", "arguments": {}}\n'


def test_options_reach_the_wire(ask: Run, provider: Simulator) -> None:
    """Every request option is in the payload."""
    options = [
        "--system",
        "be brief",
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--max-tokens",
        "7",
        "--stop",
        "X",
        "--stop",
        "Y",
    ]
    assert ask("-m", "first/m", *options, "--seed", "3", "two", "words").status == 0
    sent = provider.requests[0].payload
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two words"}]
    assert (sent["temperature"], sent["top_p"], sent["stop"], sent["seed"]) == (0.5, 0.9, ["X", "Y"], 3)
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent.get("stream") is False


def test_several_models_answer_in_the_order_given(ask: Run, script: Any, provider: Simulator) -> None:
    """The first model's answer comes first, though the second provider answers before it; each under its name, in a pipe too."""
    script.answer("from n", model="n")
    script.answer("from m")
    with provider.hold(lambda record: record.model == "n") as hold:
        thread = threading.Thread(target=lambda: (provider.wait_for_requests(1, ended=True), hold.close()))
        thread.start()
        ran = ask("-m", "first/n", "-m", "second/m", "hi")
        thread.join()
    assert ran == (0, "== first/n ==\nfrom n\n\n== second/m ==\nfrom m\n", "")


def test_json_is_one_object_a_line_with_errors_in_place(ask: Run, script: Any) -> None:
    """A failure stands in its place on standard output, and once on standard error, as the same line."""
    script.fail(400, "no good", model="n")
    ran = ask("--json", "-m", "first/n", "-m", "second/m", "hi")
    first, second = (json.loads(line) for line in ran.out.splitlines())
    assert list(first) == list(second) == ["id", "index", "provider", "model", "response", "error"]
    assert (first["index"], first["provider"], first["model"], first["response"]) == (0, "first", "n", None)
    assert first["error"]["type"] == "InvalidRequestError"
    assert (second["index"], second["error"], second["response"]["text"]) == (1, None, "an answer")
    assert ran.err == ran.out.splitlines()[0] + "\n"
    assert ran.status == 9


def test_a_request_that_cannot_be_sent_fails_in_its_place(ask: Run, provider: Simulator) -> None:
    """The other models are asked all the same, and their answers, which are paid for, are printed."""
    ran = ask("--json", "-m", "first/m", "-m", "second/m", "--set", "n=2", "hi")
    assert [json.loads(line)["error"]["type"] for line in ran.out.splitlines()] == ["InvalidRequestError"] * 2
    assert (ran.status, ran.err, provider.requests) == (7, ran.out, [])


@pytest.mark.parametrize(("finish", "options"), [("length", ("--strict",)), ("content_filter", ())])
def test_the_text_of_an_unusable_answer_is_printed_with_its_error(ask: Run, script: Any, finish: str, options: Any) -> None:
    """It is paid for: with --json it stands in the error."""
    script.answer("half of 41972", finish)
    ran = ask("--json", "-m", "first/m", *options, "hi")
    (record,) = map(json.loads, ran.out.splitlines())
    assert (ran.status, record["response"], record["error"]["text"]) == (8, None, "half of 41972")


def test_a_failure_among_answers_is_reported_in_words(ask: Run, script: Any) -> None:
    """Without --json standard output has the answers that arrived; status 9 says that some are missing."""
    script.fail(400, "no good", model="n")
    ran = ask("-m", "first/n", "-m", "second/m", "hi")
    assert (ran.status, ran.out) == (9, "== second/m ==\nan answer\n")
    assert ran.err.startswith("llm-sync: first/n: no good")
    assert len(ran.err.splitlines()) == 1


def error(status: int, code: str | None = None) -> Response:
    """An OpenAI error."""
    return Response(status, {"error": {"message": "it fails", "type": "error", "code": code}})


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (error(401), 4),
        (error(403), 4),
        (error(429, code="insufficient_quota"), 5),
        (error(503), 6),
        (error(404, code="model_not_found"), 7),
        (error(400, code="context_length_exceeded"), 7),
        (Response(200, {"choices": [{"message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]}), 8),
        (Response(200, {"choices": [{"message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}]}), 8),
        (Response(200, b"not json"), 8),
        (Response(200, b"data: {}\n\ndata: [DONE]\n", (("Content-Type", "text/event-stream"),)), 8),
    ],
)
def test_statuses_of_failures(ask: Run, script: Any, response: Response, status: int) -> None:
    """What a provider sends decides the exit status; one line on standard error, nothing on standard output."""
    script.send(response, response)
    ran = ask("-m", "first/m", "hi")
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.splitlines()[-1].startswith("llm-sync: first/m: ")


def test_no_connection_is_status_6(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The server is not running: a network error."""
    with Simulator() as gone:
        url = gone.url("openai")
    monkeypatch.setenv("CLI_TEST_KEY", key)
    path = tmp_path / "x.yaml"
    path.write_text(f"providers: {{openai: {{api_key: '${{CLI_TEST_KEY}}', base_url: '{url}', models: [m], max_retries: 0}}}}")
    assert llm("generate", "--config", str(path), "hi").status == 6


def test_a_retry_is_reported_in_words(ask: Run, script: Any) -> None:
    """A warning a user understands: the provider, the attempt, the reason."""
    script.fail(503, "overloaded")
    script.answer()
    ran = ask("-m", "first/m", "hi")
    assert (ran.status, ran.out) == (0, "an answer\n")
    assert re.fullmatch(r"llm-sync: first: attempt 1 of 2 failed, trying again in 0\.\d s: overloaded\n", ran.err)


def test_a_truncated_answer_is_printed_with_a_warning(ask: Run, script: Any) -> None:
    """It is an answer, status 0; under --strict it is none, status 8."""
    script.answer("half an ans", "length")
    script.answer("half an ans", "length")
    ran = ask("-m", "first/m", "hi")
    assert (ran.status, ran.out) == (0, "half an ans\n")
    assert "cut the answer" in ran.err
    strict = ask("-m", "first/m", "--strict", "hi")
    assert (strict.status, strict.out) == (8, "")


def test_no_key_is_ever_shown(ask: Run, script: Any, key: str) -> None:
    """Neither -vv nor a provider that echoes it brings it to light."""
    script.fail(401, f"the key {key} is bad")
    ran = ask("-vv", "-m", "first/m", "hi")
    assert ran.status == 4
    assert "AttemptStarted" in ran.err
    assert key not in ran.err + ran.out
    assert "0123456789" not in ran.err + ran.out


def test_an_unset_key_is_reported_before_anything_is_sent(ask: Run, provider: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 4, naming the variable, once for each provider that wants it."""
    monkeypatch.delenv("CLI_TEST_KEY")
    ran = ask("-m", "first/m", "-m", "second/m", "-m", "first/n", "hi")
    assert (ran.status, ran.out, provider.requests) == (4, "", [])
    first, second = ran.err.splitlines()
    assert "first: the environment variable CLI_TEST_KEY" in first
    assert "second: the environment variable CLI_TEST_KEY" in second


def test_no_model_where_none_is_obvious_is_a_usage_error(ask: Run, provider: Simulator) -> None:
    """Status 2, naming the candidates and the option."""
    ran = ask("hi")
    assert (ran.status, ran.out, provider.requests) == (2, "", [])
    assert "-m" in ran.err
    assert all(name in ran.err for name in ("first/m", "first/n", "second/m"))


@pytest.mark.parametrize("defaults", ["defaults: {model: first/m}\n", ""])
def test_the_default_or_only_model_needs_no_name(llm: Run, config: str, defaults: str) -> None:
    """defaults.model, or the only model listed, is asked when none is named."""
    path = Path(config)
    text = path.read_text().partition("providers:")[2]
    text = text.partition("  second:")[0].replace("[m, n]", "[m]") if not defaults else text
    path.write_text(f"{defaults}providers:{text}")
    assert llm("generate", "--config", config, "hi") == (0, "an answer\n", "")


def test_every_model_is_checked_before_any_is_asked(ask: Run, provider: Simulator) -> None:
    """An unknown model among several costs nothing: status 7, naming the candidates."""
    ran = ask("-m", "first/m", "-m", "nope", "hi")
    assert (ran.status, ran.out, provider.requests) == (7, "", [])
    assert "nope" in ran.err
    assert "first/m" in ran.err


def test_all_problems_of_a_broken_configuration_are_reported(llm: Run, tmp_path: Path) -> None:
    """Every problem with file, line, field and hint on standard error, nothing on standard output, status 3."""
    path = tmp_path / "broken.yaml"
    path.write_text("defaults: {temperature: 3}\nproviders:\n  openai:\n    timeout: yes\n    modles: [gpt-4o]\n")
    ran = llm("generate", "--config", str(path), "hi")
    assert (ran.status, ran.out) == (3, "")
    problems = ran.err.splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in problems] == [f"{path}:1", f"{path}:4", f"{path}:5"]
    assert [line.split(": ")[1] for line in problems] == [
        "defaults.temperature",
        "providers.openai.timeout",
        "providers.openai.modles",
    ]
    assert "did you mean models?" in problems[2]


@pytest.mark.parametrize(
    ("arguments", "status", "kind", "wording"),
    [
        (["--config", "BROKEN", "hi"], 3, "ConfigurationError", "broken.yaml:1: providers: "),
        (["--config", "nowhere", "hi"], 3, "ConfigurationError", "no configuration named 'nowhere'"),
        (["--config", "GOOD", "-m", "nope", "hi"], 7, "ModelNotFoundError", "no provider lists 'nope'"),
        (["--config", "GOOD", "-m", "first/m", "hi"], 4, "AuthenticationError", "CLI_TEST_KEY"),
        (["--config", "GOOD", " "], 2, "UsageError", "the prompt is empty"),
        (["--config", "GOOD", "-m", "first/m", "--output", ".", "hi"], 2, "UsageError", "is a folder"),
    ],
)
def test_a_failure_of_the_whole_command_is_a_record_too(
    llm: Run,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    kind: str,
    wording: str,
) -> None:
    """With --json: one line on standard error of the shape every failure has, without a place among the requests."""
    if status == 4:
        monkeypatch.delenv("CLI_TEST_KEY")
    (tmp_path / "broken.yaml").write_text("provider: {}")
    words = {"BROKEN": str(tmp_path / "broken.yaml"), "GOOD": config}
    ran = llm("generate", "--json", *(words.get(word, word) for word in arguments))
    assert (ran.status, ran.out) == (status, "")
    (record,) = map(json.loads, ran.err.splitlines())
    assert list(record) == ["id", "index", "provider", "model", "response", "error"]
    assert (record["index"], record["response"]) == (None, None)
    names = ["type", "message", "provider", "model", "status", "retryable", "retry_after", "guidance", "attempts", "text"]
    assert list(record["error"]) == names
    assert record["error"]["type"] == kind
    assert wording in record["error"]["message"]


@pytest.mark.parametrize("name", ["nowhere", "./nowhere.yaml", "."])
def test_a_configuration_that_is_not_there(llm: Run, tmp_path: Path, name: str) -> None:
    """A name, a path, a folder: status 3, and what to do."""
    ran = llm("generate", "--config-dir", str(tmp_path), "--config", name if name != "." else f"{tmp_path}/", "hi")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("llm-sync: ")


def test_an_unexpected_error_of_a_dialect_spares_the_other_answers(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a dialect is reported as one, with status 9 beside an answer; the traceback needs -vv."""
    from llm_sync.models import PreparedRequest
    from llm_sync.providers import LLMProvider

    whole = LLMProvider.steps

    def steps(self: LLMProvider, prepared: PreparedRequest, *arguments: object, **options: object) -> object:
        if prepared.model == "n":
            raise ZeroDivisionError("a mistake")
        return whole(self, prepared, *arguments, **options)

    monkeypatch.setattr(LLMProvider, "steps", steps)
    ran = ask("-m", "first/n", "-m", "second/m", "hi")
    assert (ran.status, ran.out) == (9, "== second/m ==\nan answer\n")
    assert ran.err.startswith("llm-sync: first/n: an unexpected ZeroDivisionError: a mistake.")
    assert "Traceback" not in ran.err
    assert "Traceback" in ask("-vv", "-m", "first/n", "hi").err


@pytest.mark.parametrize(("options", "named"), [(["--json"], "error"), (["--log-json"], "message")])
def test_a_wrong_command_line_is_json_too(llm: Run, options: list[str], named: str) -> None:
    """If the wrong command line has --json, its error is JSON too."""
    ran = llm("generate", *options, "--bogus", "hi")
    assert (ran.status, ran.out) == (2, "")
    assert "unknown option --bogus" in str(json.loads(ran.err)[named])
    assert llm("generate", "--", *options).err.startswith("llm-sync: ")


def test_stdin_is_the_prompt_where_no_other_is_given(ask: Run, provider: Simulator) -> None:
    """``echo hi | llm-sync generate``: without the line end that echo adds."""
    assert ask("-m", "first/m", stdin="grüß 😀\r\n".encode()).status == 0
    assert provider.requests[0].payload["messages"][-1]["content"] == "grüß 😀"


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"\xef\xbb\xbfhi", "hi"),
        (b"one\r\ntwo\r\n", "one\r\ntwo"),
        (b"one\n\n", "one\n"),
        (b"a\x00b\x1b[31m", "a\x00b\x1b[31m"),
        (b"a" * 5_000_000, "a" * 5_000_000),
    ],
    ids=["bom", "crlf", "two-ends", "controls", "5-MB"],
)
def test_odd_prompts_arrive_whole(ask: Run, provider: Simulator, content: bytes, sent: str) -> None:
    """Only a byte-order mark and one line end are taken away."""
    assert ask("-m", "first/m", stdin=content).status == 0
    assert provider.requests[0].payload["messages"][-1]["content"] == sent


@pytest.mark.parametrize(
    ("stdin", "wording"),
    [
        (b"", "standard input contains no prompt"),
        (b" \r\n\t", "standard input contains no prompt"),
        (b"abc\xff", "standard input is not UTF-8 (byte 4)"),
        ("hi".encode("utf-16"), "standard input is not UTF-8 (byte 1)"),
    ],
)
def test_input_that_is_no_prompt(ask: Run, provider: Simulator, stdin: bytes, wording: str) -> None:
    """Nothing is sent; status 2."""
    ran = ask("-m", "first/m", stdin=stdin)
    assert (ran.status, ran.out, provider.requests) == (2, "", [])
    assert ran.err.startswith(f"llm-sync: {wording}")


def test_a_terminal_without_a_prompt_is_a_usage_error(ask: Run) -> None:
    """The program does not wait silently for Ctrl-D."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    ran = ask("-m", "first/m", stdin=Terminal())
    assert ran.status == 2
    assert ran.err.startswith("llm-sync: no prompt: ")


def test_an_empty_prompt_is_a_usage_error(ask: Run, provider: Simulator) -> None:
    """As an argument, too: ``llm-sync generate "$UNSET"``."""
    ran = ask("-m", "first/m", " ", "")
    assert (ran.status, provider.requests) == (2, [])
    assert ran.err == "llm-sync: the prompt is empty: give it at least one visible character\n"


def test_the_prompt_may_come_from_a_file(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """--input FILE reads it; --input - and a lone - read standard input."""
    (tmp_path / "q").write_text("from a file\n")
    assert ask("-m", "first/m", "--input", str(tmp_path / "q")).status == 0
    assert ask("-m", "first/m", "--input", "-", stdin=b"from a pipe").status == 0
    assert ask("-m", "first/m", "-", stdin=b"from a pipe").status == 0
    sent = [record.payload["messages"][-1]["content"] for record in provider.requests]
    assert sent == ["from a file", "from a pipe", "from a pipe"]


@pytest.mark.parametrize("path", ["nowhere/q", ".", ""])
def test_an_input_that_cannot_be_read(ask: Run, path: str) -> None:
    """The option, the name and the system's reason; status 2."""
    ran = ask("-m", "first/m", "--input", path)
    assert ran.status == 2
    assert ran.err.startswith(f"llm-sync: --input {path!r} cannot be read: ")


def test_two_prompts_are_one_too_many(ask: Run) -> None:
    """It is unclear which one is meant."""
    assert ask("-m", "first/m", "--input", "-", "hi", stdin=b"x").status == 2


def test_models_lists_by_provider(llm: Run, config: str, script: Any) -> None:
    """Each provider's models under its name; configured ones that it does not list are marked; its error is printed."""
    listing = Response(200, {"object": "list", "data": [{"id": "m", "object": "model"}, {"id": "x", "object": "model"}]})
    script.listings = [listing, listing]
    ran = llm("models", "--config", config)
    assert ran == (0, "first:\n  m\n  x\n  n (configured, but not listed)\nsecond:\n  m\n  x\n", "")
    script.listings = [error(401), error(401)]
    ran = llm("models", "--config", config, "--json")
    assert ran.status == 4
    assert [json.loads(line)["error"]["type"] for line in ran.out.splitlines()] == ["AuthenticationError"] * 2


def test_the_error_of_one_listing_is_printed_beside_the_others(llm: Run, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some listed, some failed: status 9."""
    from llm_sync import LLMClient
    from llm_sync.models import ModelListing

    listings = {"first": ModelListing(error=LLMConnectorError("it fails", provider="first")), "second": ModelListing(("m",))}
    monkeypatch.setattr(LLMClient, "list_all_models", lambda self, timeout: listings)
    assert llm("models", "--config", config) == (9, "second:\n  m\n", "llm-sync: first: it fails\n")


def test_a_dash_among_the_words_is_what_standard_input_holds(ask: Run, provider: Simulator) -> None:
    """Wherever it stands; a dash within a word is a dash, and beside a prompt without one nothing is read."""
    assert ask("-m", "first/m", "Sum up:", "-", "(briefly)", stdin=b"a story\n").status == 0
    assert ask("-m", "first/m", "5 - 3", stdin=b"a story\n").status == 0
    sent = [record.payload["messages"][-1]["content"] for record in provider.requests]
    assert sent == ["Sum up: a story (briefly)", "5 - 3"]


@pytest.mark.parametrize(
    ("words", "stdin", "wording"),
    [
        (["a", "-", "b", "-"], b"x", "only one - can be replaced by standard input"),
        (["a", "-"], b"", "standard input is empty"),
        (["a", "-"], b"\xff", "standard input is not UTF-8"),
    ],
)
def test_a_dash_that_stands_for_nothing(ask: Run, provider: Simulator, words: list[str], stdin: bytes, wording: str) -> None:
    """Nothing is sent; status 2."""
    ran = ask("-m", "first/m", *words, stdin=stdin)
    assert (ran.status, ran.out, provider.requests) == (2, "", [])
    assert ran.err.startswith(f"llm-sync: {wording}")


def test_an_id_is_in_every_record(ask: Run, script: Any) -> None:
    """Answers and failures, all models', and what keeps the command from its work."""
    script.fail(400, "no good", model="n")
    ran = ask("--json", "--id", "line 7", "-m", "first/n", "-m", "second/m", "hi")
    assert [(record["id"], record["index"]) for record in map(json.loads, ran.out.splitlines())] == [("line 7", 0), ("line 7", 1)]
    assert json.loads(ran.err)["id"] == "line 7"
    for wrong in (["-m", "first/m", ""], ["-m", "nobody/m", "hi"]):
        assert json.loads(ask("--json", "--id", "x", *wrong).err)["id"] == "x"


def test_an_id_needs_a_record(ask: Run, provider: Simulator) -> None:
    """Without --json it would appear nowhere."""
    ran = ask("-m", "first/m", "--id", "7", "hi")
    assert (ran.status, provider.requests) == (2, [])
    assert "add --json" in ran.err


def test_objects_in_a_pipe_have_no_headings(ask: Run, script: Any, tmp_path: Path) -> None:
    """With --schema a program reads: one object a line."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    for model in ("m", "n"):
        script.answer(json.dumps({"by": model}), model=model)
    ran = ask("--schema", str(schema), "-m", "first/m", "-m", "first/n", "hi")
    assert ran == (0, '{"by": "m"}\n{"by": "n"}\n', "")


def test_a_model_there_is_not_is_looked_up_in_this_configuration(ask: Run, script: Any, config: str) -> None:
    """The next step has the --config of the command, and the name that is probably meant."""
    script.fail(404, "no such model", model="mm", code="model_not_found")
    ran = ask("-m", "second/mm", "hi")
    assert ran.status == 7
    assert "Did you mean second/m?" in ran.err
    assert f"'llm-sync models --config {config}'" in ran.err


@pytest.mark.parametrize(
    ("options", "wording"),
    [
        (["--system-file", "-"], "--system-file and the prompt"),
        (["--system-file", "-", "sum up", "-"], "--system-file and the prompt"),
        (["--schema", "-", "--input", "-"], "--schema and the prompt"),
        (["--system-file", "-", "--messages", "-"], "--system-file and --messages"),
    ],
)
def test_standard_input_is_read_once(ask: Run, provider: Simulator, options: list[str], wording: str) -> None:
    """The second to read it would find nothing, and be sent so."""
    ran = ask("-m", "first/m", *options, stdin=b'[{"role": "user", "content": "hi"}]')
    assert (ran.status, provider.requests) == (2, [])
    assert f"{wording} cannot both be read from standard input" in ran.err
    assert ask("-m", "first/m", "--system-file", "-", "hi", stdin=b"be brief").status == 0
