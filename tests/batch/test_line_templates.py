"""Lines that are like an earlier one are checked and prepared by what is known of that one, with the same result."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far  # type: ignore[import-not-found]

from llm_sync import InvalidRequestError, LLMClient, batch
from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_hash
from llm_sync.batch.line_requests import request_of
from llm_sync.batch.line_templates import LineTemplates
from llm_sync.batch.options import Options
from llm_sync.batch.setup import opened
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.config import ConfigLoader
from llm_sync.models.route import Route
from llm_sync.providers.base import LLMProvider
from llm_sync.simulator import Simulator

AWKWARD = [
    "plain",
    'quotes " and \\ and / </script>',
    "\u00e9\u4e2d\U0001f600",
    "controls \x00\x1f\x7f\u2028",
    " led\n",
    "{}",
    "1",
    "\\u00e9 \ufeff\u2028",
    "a prompt\u00e9 that stands for any other",
    "long " * 100_000,
]
KINDS: list[dict[str, Any]] = [
    {},
    {"id": "x", "temperature": 0.5, "max_tokens": 9, "stop_sequences": "END"},
    {"id": 7, "system_prompt": 'be "brief"\u00e9', "seed": 3, "top_p": None},
]


@contextlib.contextmanager
def context_of(folder: Path, client: LLMClient) -> Iterator[BatchContext]:
    """The parts of a run of no lines."""
    with (
        contextlib.closing(RecordStore(str(folder))) as store,
        opened(Options(), client, [{"prompt": "p"}], str(folder / "out.jsonl"), store) as context,
    ):
        yield context


def made_alone(context: BatchContext, slot: int, values: dict[str, Any]) -> Any:
    """A line's identity, its request and what is sent, without any template."""
    route = Route(*values["model"].split("/", 1))
    identity = context.identity(slot, line_hash(json.dumps(values).encode()), route)
    identity, batch_request = request_of(context, slot, values, identity)
    return identity, batch_request, context.prepare(batch_request, slot)


@pytest.mark.parametrize("kind", KINDS, ids=["prompt alone", "settings", "system prompt"])
@pytest.mark.parametrize(
    "dialect", ["openai", "openai-responses", "anthropic", "gemini", "gemini-interactions", "openrouter", "bedrock"]
)
def test_a_request_made_of_a_template_equals_the_one_made_alone(tmp_path: Path, dialect: str, kind: dict[str, Any]) -> None:
    """In every byte that is sent, in every field and every hash, whatever the prompt is made of."""
    entry = {"type": dialect, "base_url": "http://127.0.0.1:9/v1", "api_key": "k-0123456789", "models": ["m"]}
    text = json.dumps({"providers": {"p": entry}, "defaults": {"system_prompt": "of the configuration"}})
    with LLMClient(ConfigLoader().load_text(text)) as client, context_of(tmp_path, client) as context:
        templates = LineTemplates(context)
        for number, prompt in enumerate(["first", "second", *AWKWARD]):
            values = {**kind, "prompt": prompt, "model": "p/m"}
            if kind.get("id") == "x":
                values["id"] = f"line {number}"
            identity, batch_request, prepared = made_alone(context, number, values)
            shape = templates.kind(values, None)
            template = templates.find(shape)
            assert (template is None) == (number < 2)
            if template is None:
                templates.learn(shape, values, batch_request, identity, prepared)
                continue
            plain = identity._replace(request=None, id=None, content=None)
            assert template.fill(prompt, values.get("id"), plain) == (identity, prepared)
            assert prepared.body.count(json.dumps(prompt, ensure_ascii=False).encode()) == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"prompt": " \n"}, "an empty prompt"),
        ({"prompt": "\u2003"}, "an empty prompt"),
        ({"prompt": ""}, "an empty prompt"),
        ({"prompt": "lone \ud800"}, "a lone surrogate"),
        ({"prompt": 5}, "no text"),
        ({"messages": [{"role": "user", "content": "a"}]}, "a conversation"),
        ({"prompt": "a", "images": ["b.png"]}, "a file"),
        ({"prompt": "a", "id": 1.5}, "an id of another type"),
        ({"prompt": "a", "id": True}, "an id of another type"),
        ({"prompt": "a", "provider_specific": {"b": 1}}, "a structure"),
    ],
)
def test_what_a_prompt_alone_does_not_decide_is_made_alone(
    tmp_path: Path, client: LLMClient, values: dict[str, Any], reason: str
) -> None:
    """A line with anything that has to be looked at has no kind."""
    with context_of(tmp_path, client) as context:
        assert LineTemplates(context).kind(values, None) is None, reason


def test_values_that_only_python_calls_equal_are_different_kinds(tmp_path: Path, client: LLMClient) -> None:
    """True is no 1, 1 is no 1.0, and 0.0 is sent otherwise than -0.0."""
    given = [True, 1, 1.0, 0, 0.0, -0.0, False, None, "1"]
    with context_of(tmp_path, client) as context:
        templates = LineTemplates(context)
        assert len({templates.kind({"prompt": "a", "temperature": value}, None) for value in given}) == len(given)


def test_bad_lines_after_good_ones_of_their_kind_are_reported(job: Batch) -> None:
    """A good line of a kind vouches for no bad one."""
    good = [{"prompt": f"p{number}", "model": "a/m"} for number in range(3)]
    bad = [{"prompt": " ", "model": "a/m"}, {"prompt": "x", "model": "a/m", "temperature": 9}, {"prompt": 7, "model": "a/m"}]
    job.lines(*good, *bad, good[0])
    with pytest.raises(InvalidRequestError) as caught:
        job.run()
    assert re.findall(r"line (\d+)", str(caught.value)) == ["4", "5", "6"]


def test_a_dialect_that_is_not_of_this_package_sees_every_prompt(tmp_path: Path, stub: Batch) -> None:
    """Nobody knows what else in its requests depends on the prompt."""
    with context_of(tmp_path, stub.client) as context:
        templates = LineTemplates(context)
        for number in range(3):
            values = {"prompt": f"p{number}", "model": "a/m"}
            identity, batch_request, prepared = made_alone(context, number, values)
            shape = templates.kind(values, None)
            templates.add_checked(shape, batch_request)
            templates.learn(shape, values, batch_request, identity, prepared)
            assert templates.checked(shape) is None
            assert templates.find(shape) is None


def test_lines_under_a_budget_are_prepared_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a line may cost depends on its prompt."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    priced = {"name": "m", "max_tokens": 9, "pricing": {"input": 1, "output": 2}}
    entry = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k-0123456789", "models": [priced]}
    text = json.dumps({"providers": {"p": entry}})
    with LLMClient(ConfigLoader().load_text(text), max_cost=5) as client, context_of(tmp_path, client) as context:
        templates, values = LineTemplates(context), {"prompt": "p", "model": "p/m"}
        identity, batch_request, prepared = made_alone(context, 0, values)
        shape = templates.kind(values, None)
        for _ in range(3):
            templates.add_checked(shape, batch_request)
            templates.learn(shape, values, batch_request, identity, prepared)
        assert templates.checked(shape) is None
        assert templates.find(shape) is None


def test_openai_lines_that_have_a_prompt_besides_are_made_alone(job: Batch, far: Far) -> None:
    """It is a field that is kept: their bodies say what is sent, and which line cannot be."""
    bodies: list[Any] = [{"model": "a/m", "messages": [{"role": "user", "content": f"p{number}"}]} for number in range(4)]
    lines = [{"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": bodies[n]} for n in range(4)]
    job.lines(*({**line, "prompt": "the same"} for line in lines))
    job.run(keep=["prompt"])
    assert sorted(far.asked) == ["p0", "p1", "p2", "p3"]
    job.lines(
        *({**line, "prompt": "the same"} for line in lines), {**lines[0], "custom_id": "c4", "body": 7, "prompt": "the same"}
    )
    with pytest.raises(InvalidRequestError) as caught:
        job.run(keep=["prompt"])
    assert re.findall(r"line (\d+)", str(caught.value)) == ["5"]


def test_a_streaming_switch_is_looked_for_in_every_line_that_has_one(job: Batch) -> None:
    """Beside a switch that is off, a field that is only kept may be one that is on."""
    good = [{"prompt": f"p{number}", "model": "a/m", "stream": False, "alt": "json"} for number in range(3)]
    job.lines(*good, {**good[0], "alt": "sse"})
    with pytest.raises(InvalidRequestError) as caught:
        job.run(keep=["alt"])
    assert re.findall(r"line (\d+)", str(caught.value)) == ["4"]


@pytest.mark.parametrize("is_refused", [False, True], ids=["depends on the length", "is refused for some prompts"])
def test_a_kind_without_a_template_is_tried_once(
    tmp_path: Path, client: LLMClient, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    """Its further lines cost no more than they would alone, and none of them fails for what was tried."""
    dialect = type(client.dispatcher.endpoint("a").provider.dialect)
    prepare: Callable[..., Any] = dialect.prepare_request
    seen: list[str] = []

    def prepare_request(self: Any, request: Any, made: Any) -> Any:
        seen.append(request.prompt)
        if is_refused and len(request.prompt) > 2:
            raise InvalidRequestError("too long")
        return {**prepare(self, request, made), "length": len(request.prompt)}

    monkeypatch.setattr(dialect, "prepare_request", prepare_request)
    with context_of(tmp_path, client) as context:
        templates = LineTemplates(context)
        for number in range(9):
            values = {"prompt": f"p{number}", "model": "a/m"}
            identity, batch_request, prepared = made_alone(context, number, values)
            templates.learn(templates.kind(values, None), values, batch_request, identity, prepared)
        assert templates.find(templates.kind(values, None)) is None
    assert [prompt for prompt in seen if len(prompt) == 2] == [f"p{number}" for number in range(9)]
    assert len(seen) == 9 + (1 if is_refused else 2)


FRAGMENTS = [*AWKWARD, "\x00\x1f", '"', "\\", " ", "\u2003", "\ud800", "\udc00", "\U0001f600", ""]
IDS = ["x", 7, -1, 10**20, "", "\ud800", None, 1.5, True, [1], {"a": 1}]
FIELDS: dict[str, list[Any]] = {
    "temperature": [0.5, 0, 0.0, True, "1", None],
    "max_tokens": [50, 1, None, 2.0, 0],
    "system_prompt": ["brief", 'a "b"', "", None, "\ud800"],
    "stop_sequences": ["END", ["a"], None],
    "model": ["p/m", "p/n", "q/m", None, 5],
    "stream": [False, True],
    "kept": ["a", 1, None, {"x": [1]}],
}


def lines_at_random(seed: int) -> list[dict[str, Any]]:
    """Lines of a few kinds, some of which cannot be sent."""
    chance = random.Random(seed)  # noqa: S311  (no secret)
    kinds = [{name: FIELDS[name][0] for name in chance.sample(sorted(FIELDS), chance.randint(0, 3))} for _ in range(3)]
    lines = []
    for _ in range(30):
        line: dict[str, Any] = {"model": "p/m", **chance.choice(kinds)}
        line.update({name: chance.choice(FIELDS[name]) for name in line if chance.random() < 0.1})
        line["prompt"] = "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 3)))
        if chance.random() < 0.5:
            line["id"] = chance.choice(IDS[: chance.choice((4, len(IDS)))])
        lines.append(line)
    return lines


@pytest.mark.parametrize("dialect", ["openai", "openai-responses", "anthropic", "gemini", "openrouter", "bedrock"])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_the_same_without_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, seed: int) -> None:
    """In what is sent, byte by byte, in every record with its hashes, and in what is said of lines that cannot be sent."""
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines_at_random(seed)))
    sent: list[bytes] = []
    steps = LLMProvider.steps

    def noted(self: Any, prepared: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(prepared.body)
        return steps(self, prepared, *arguments, **options)

    def run(name: str) -> tuple[list[bytes], list[Any]]:
        sent.clear()
        url = simulator.url(dialect)
        entry = {"type": dialect, "base_url": url, "api_key": "k-0123456789", "max_retries": 0, "models": ["m", "n"]}
        with LLMClient(ConfigLoader().load_text(json.dumps({"providers": {"p": entry}}))) as client:
            batch.run(str(tmp_path / "in.jsonl"), str(tmp_path / name), client, skip_bad_lines=True, keep=["kept"])
        records = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for record in records:
            for timed in ("timestamp", "latency_ms", "request_id", "metadata"):
                (record["response"] or record["error"]).pop(timed, None)
        return list(sent), records

    monkeypatch.setattr(LLMProvider, "steps", noted)
    with Simulator() as simulator:
        with_templates = run("with")
        monkeypatch.setattr(LineTemplates, "kind", lambda *_: None)
        assert run("without") == with_templates
    assert with_templates[0]
