"""Replaying a batch by request hash, errors included."""

from __future__ import annotations

import gzip
import json
import logging
import re
import shutil

import pytest

from llm_sync import LLMConnectorError, Message, ModelRequest
from llm_sync.errors import ConfigurationError
from llm_sync.models import request_hash
from llm_sync.models.record import record
from llm_sync.models.route import Route
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers.replay import Replay
from llm_sync.simulator.faults.error_responses import ERROR_CLASSES

ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
QUESTIONS = {
    "plain": {"prompt": "Say hello"},
    "with a system prompt": {"prompt": "Say hello", "system_prompt": "Be brief."},
    "cut": {"prompt": "Tell me a story", "max_tokens": 16},
    "a talk": {"messages": [Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Go on")]},
    "a tool": {"prompt": "Add one", "tools": [ADD], "tool_choice": "required"},
    "no such model": {"prompt": "Say hello", "model": "no-such-model"},
    "too long": {"prompt": "word " * 1_200_000},
}
ANSWERS = {
    "Think": {"text": "42", "thinking": "Six times seven."},
    "Refuse": {"refusal": "I will not."},
    "Block": {"refusal": "prompt: PROHIBITED_CONTENT: not that"},
    "Recite": {"refusal": "RECITATION"},
    "Empty": {"text": ""},
    "Cut short": {"text": "Once upon", "finish_reason": "length"},
    **{kind: {"error": {"type": kind, "message": "it was so"}} for kind in ERROR_CLASSES},
}


def run(simulator, client, dialect, model, questions):
    """The records of a batch."""
    records = []
    for index, question in enumerate(questions):
        fields = {"model": model, **question}
        request = ModelRequest(**{**fields, "model": f"{dialect}/{fields['model']}"})
        turns = [("system", request.system_prompt), *((turn.role, turn.content) for turn in request.conversation())]
        try:
            outcome = client.generate_response(request)
        except LLMConnectorError as error:
            outcome = error
        place = Route(dialect, fields["model"])
        records.append({**record(index, place, outcome), "request_hash": request_hash(place.model, turns)})
    return records


def told(entry):
    """The part of a record that comes from the provider, without times, ids and costs."""
    response, error = entry["response"], entry["error"]
    if error is not None:
        return error["type"], error["status"], re.sub(r"127\.0\.0\.1:\d+", "HOST", error["message"])
    kept = {name: response[name] for name in ("text", "model", "finish_reason", "usage", "truncated")}
    calls = [(call["name"], call["arguments"], call["raw_arguments"]) for call in response["tool_calls"]]
    return kept, calls, response["metadata"]


def write(folder, records, name="run.jsonl"):
    """A file with these records, one per line; a text is written unchanged."""
    path = folder / name
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in records))
    return path


def entry(text="Hi", key="0" * 32, **fields):
    """A minimal record."""
    return {"request_hash": key, "response": {"text": text}, "error": None, **fields}


def test_a_run_is_repeated(tmp_path, client_of, dialect, shapes):
    """A replay gives every answer and error of the batch again."""
    questions = [*QUESTIONS.values(), *({"prompt": prompt} for prompt in ANSWERS)]
    model = shapes.models[dialect]
    with Simulator(answers=ANSWERS, seed=3) as first:
        before = run(first, client_of(first), dialect, model, questions)
    assert {type(entry["response"]).__name__ for entry in before} == {"dict", "NoneType"}
    with Simulator(replay=write(tmp_path, before), seed=4) as second:
        after = run(second, client_of(second), dialect, model, questions)
        assert second.faults == []
    for one, other in zip(before, after, strict=True):
        assert told(other) == told(one)


def test_a_question_asked_several_times_is_answered_in_turn(tmp_path):
    """Several answers to a request are used in order, then from the first again; the last record of an index counts."""
    replay = Replay(write(tmp_path, [entry("a", index=0), entry("b", index=1), entry("c", index=0)]))
    key = [("user", "x")]
    replay._answers = {request_hash("m", key): replay._answers["0" * 32]}
    assert [replay.find("m", key).text for _ in range(5)] == ["c", "b", "c", "b", "c"]


def test_what_is_not_there_is_refused_with_its_hash(tmp_path, client_of):
    """An unknown request is a 404 in the dialect's form, or answered normally on request."""
    path = write(tmp_path, [entry()])
    with Simulator(replay=path) as simulator:
        with pytest.raises(LLMConnectorError, match=request_hash("gpt-4o", [("user", "Hi there")])) as caught:
            client_of(simulator).generate("Hi there", "openai/gpt-4o")
        assert caught.value.status == 404
    with Simulator(replay=path, replay_else="answer", answers={"Hi there": "Hello"}) as simulator:
        client = client_of(simulator)
        assert client.generate("Hi there", "openai/gpt-4o").text == "Hello"
        assert "Good day" in client.generate("Good day", "openai/gpt-4o").text
    with pytest.raises(ValueError, match="replay_else"):
        Simulator(replay=path, replay_else="ask")


def test_a_replayed_request_is_not_checked(tmp_path, wire, connect):
    """A replayed request is not checked for unknown parameters."""
    path = write(tmp_path, [entry("Hello", request_hash("llama3", [("user", "Hi")]))])
    payload = {"messages": [{"role": "user", "content": "Hi"}], "top_k": 5, "temperature": "warm", "tools": 3}
    with Simulator(replay=path) as simulator:
        got = connect(simulator).ask("openai", payload, model="llama3")
    assert got.body["choices"][0]["message"]["content"] == "Hello"
    assert wire.ask("openai", payload, model="llama3").status == 400


def test_keys_are_checked_all_the_same(tmp_path, connect, shapes):
    """The key of a replayed request is checked."""
    with Simulator(replay=write(tmp_path, [entry()])) as simulator:
        assert connect(simulator).ask("openai", shapes.question("openai"), headers={}).status == 401


def test_answers_are_replayed_in_another_dialect(tmp_path, client_of):
    """Answers of one provider are replayed in another dialect for the same model."""
    usage = {"input_tokens": 100, "output_tokens": 50, "cached_tokens": 20, "reasoning_tokens": 30}
    metadata = {"finish_reason_raw": "word_of_tomorrow", "thinking": "Hm."}
    answer = {"text": "So it is", "model": "m-2", "finish_reason": "other", "usage": usage, "metadata": metadata}
    path = write(tmp_path, [entry(key=request_hash("m", [("user", "Hi")]), response=answer)])
    with Simulator(replay=path) as simulator:
        client = client_of(simulator)
        for name in ("openai", "openai-responses", "anthropic", "gemini", "openrouter"):
            response = client.generate("Hi", f"{name}/m")
            assert (response.text, response.model, response.metadata["thinking"]) == ("So it is", "m-2", "Hm."), name
            assert {count: getattr(response.usage, count) for count in usage} == usage, name
            assert response.finish_reason == "other", name


def test_a_torn_last_line_is_passed_over(tmp_path, caplog):
    """An incomplete last line is skipped and logged."""
    path = write(tmp_path, [entry(), '{"request_hash": "1234'])
    with caplog.at_level(logging.WARNING, "llm_sync.simulator"):
        assert len(Replay(path)) == 1
    assert "line 2 is incomplete" in caplog.text


def test_packed_files_are_unpacked(tmp_path):
    """gzip files are recognised by their first bytes."""
    path = write(tmp_path, [entry()])
    packed = tmp_path / "run.gz"
    with open(path, "rb") as plain, gzip.open(packed, "wb") as stream:
        shutil.copyfileobj(plain, stream)
    assert len(Replay(packed)) == len(Replay(path)) == 1
    path.rename(tmp_path / "plain.gz")
    assert len(Replay(tmp_path / "plain.gz")) == 1


def test_requests_that_were_never_sent_have_no_answer(tmp_path):
    """Errors of requests that were never sent are not replayed."""
    unsent = entry(key="1" * 32, response=None, error={"type": "ClientClosedError", "message": "closed"})
    assert len(Replay(write(tmp_path, [entry(), unsent]))) == 1
    with pytest.raises(ConfigurationError, match="it contains no answer"):
        Replay(write(tmp_path, [unsent]))


WRONG = {
    "empty": ([""], ["it contains no answer"]),
    "blank": (["\n\n"], ["it contains no answer"]),
    "no JSON": (["hello\n", entry(), "{\n"], ["1: not JSON", "3: not JSON"]),
    "a list": (["[1]\n"], ["1: body: expected object, found list"]),
    "without a hash": ([{"response": {"text": "x"}, "error": None}], ["1: request_hash: expected string, found nothing"]),
    "neither": ([entry(response=None)], ["1: it has neither response nor error"]),
    "neither key": ([{"request_hash": "x"}], ["1: it has neither response nor error"]),
    "both": ([entry(error={"type": "X"})], ["1: it has both response and error"]),
    "without a text": ([entry(response={"model": "m"})], ["1: response.text: expected string, found nothing"]),
    "an error without a type": ([entry(response=None, error={})], ["1: error.type"]),
    "odd usage": ([entry(response={"text": "x", "usage": {"input_tokens": -1}})], ["1: response.usage.input_tokens"]),
    "odd calls": ([entry(response={"text": "x", "tool_calls": [{"name": 3}]})], ["1: response.tool_calls[0].name"]),
    "deep": (["[" * 100_000 + "\n"], ["1: not JSON"]),
    "many": (["x\n"] * 1000, ["20: not JSON"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_problems_are_reported_by_line(tmp_path, name):
    """Invalid lines are reported with their numbers, at most twenty."""
    lines, said = WRONG[name]
    path = write(tmp_path, lines)
    with pytest.raises(ConfigurationError) as caught:
        Replay(path)
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) <= 20
    assert [part for part in said if not any(part in problem for problem in problems)] == [], problems


def test_files_that_cannot_be_read(tmp_path):
    """A missing file, a folder and broken gzip are reported."""
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b'{"request_hash": "1"}\n' * 1000)[:-20])
    junk = tmp_path / "junk.gz"
    junk.write_bytes(b"\x1f\x8b" + b"\x00" * 50)
    for path, said in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "cannot be read"),
        (broken, "it has neither|cannot be unpacked"),
        (junk, "cannot be unpacked"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            Replay(path)
