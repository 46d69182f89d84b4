from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli import request_fields
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import parse
from llm_sync.simulator import Simulator

Run = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 8


def fields(*argv: str) -> dict[str, Any]:
    """What the options of a command line give a request."""
    return request_fields.request_fields(parse(["generate", *argv, "x"]))


def refusal(*argv: str) -> str:
    """Why they are refused."""
    with pytest.raises(UsageError) as caught:
        fields(*argv)
    return str(caught.value)


def test_nothing_given_is_nothing_sent() -> None:
    """The configuration's defaults, or the provider's, hold."""
    assert fields() == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("low", "low"),
        ("40", 40),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("", None),
        ("a: b # c", "a: b # c"),
        ('"40"', "40"),
        ('{"type": "enabled", "n": [1, 2]}', {"type": "enabled", "n": [1, 2]}),
        ("{type: enabled, n: [1, 2]}", {"type": "enabled", "n": [1, 2]}),
        ("[a, b]", ["a", "b"]),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_a_setting_is_typed(text: str, value: object) -> None:
    """Numbers, true, false and null as YAML 1.2 has them; lists, mappings and quoted texts as JSON or YAML; else text."""
    sent = fields("--set", f"key={text}")["provider_specific"]["key"]
    assert (sent, type(sent)) == (value, type(value))


def test_dots_lead_into_mappings() -> None:
    """Several settings make one mapping; a backslash keeps a dot."""
    given = [
        "--set",
        "thinking.type=enabled",
        "--set",
        "thinking.budget=5",
        "--set",
        r"a\.b=1",
        "--set",
        "x={a: 1}",
        "--set",
        "x.b=2",
    ]
    assert fields(*given)["provider_specific"] == {
        "thinking": {"type": "enabled", "budget": 5},
        "a.b": 1,
        "x": {"a": 1, "b": 2},
    }


def test_the_later_setting_of_a_key_wins() -> None:
    """As with every other option."""
    assert fields("--set", "a=1", "--set", "a=2")["provider_specific"] == {"a": 2}


@pytest.mark.parametrize("argument", ["a", "=1", ".a=1", "a..b=1", " =1", "a.=1"])
def test_what_is_no_setting(argument: str) -> None:
    """It is reported when the command line is parsed."""
    with pytest.raises(UsageError, match=r"argument --set: .* is not KEY=VALUE"):
        parse(["generate", f"--set={argument}", "x"])


@pytest.mark.parametrize(
    ("argv", "wording"),
    [
        (["--set", "model=x"], "--set model: llm-sync sets model and prompt itself"),
        (["--set", "messages={}"], "--set messages: llm-sync sets"),
        (["--set", "a=1", "--set", "a.b=2"], "--set a.b: a is also set to a single value"),
        (["--set", "a={b"], "--set a={b: neither JSON nor YAML: "),
        (["--set", "a={b: 1, b: 2}"], "--set a={b: 1, b: 2}: neither JSON nor YAML: "),
        (["--set", "a=" + "[" * 100_000], "neither JSON nor YAML: "),
        (["--set", 'a={"b": 1, "b": 2}'], "the key b is written twice"),
        (["--set", "a=1e999"], "--set a=1e999: JSON has no such number"),
        (["--set", "a=[.nan]"], "--set a=[.nan]: JSON has no such number"),
    ],
)
def test_settings_that_cannot_be(argv: list[str], wording: str) -> None:
    """Each is a usage error that says which one."""
    assert wording in refusal(*argv)


def test_the_system_prompt_may_stand_in_a_file(tmp_path: Path) -> None:
    """Without the line end editors leave; beside --system it is one too many."""
    (tmp_path / "s").write_text("be brief\n")
    assert fields("--system-file", str(tmp_path / "s")) == {"system_prompt": "be brief"}
    assert "not allowed with argument -s/--system" in refusal("--system", "x", "--system-file", "y")
    assert refusal("--system-file", "nowhere").startswith("--system-file 'nowhere' cannot be read: ")


def test_images_go_beside_the_prompt(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """A file travels as its bytes, a URL as it is, in the order given."""
    (tmp_path / "cat.png").write_bytes(PNG)
    ran = ask("-m", "first/m", "--image", str(tmp_path / "cat.png"), "--image", "https://example.com/x.png", "what?")
    assert ran.status == 0
    text, *images = provider.requests[0].payload["messages"][-1]["content"]
    assert text["text"] == "what?"
    assert [image["image_url"]["url"] for image in images] == [
        f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
        "https://example.com/x.png",
    ]


@pytest.mark.parametrize(("name", "content"), [("nowhere.png", None), ("text.png", b"text"), ("empty.png", b"")])
def test_an_image_that_is_none(ask: Run, provider: Simulator, tmp_path: Path, name: str, content: bytes | None) -> None:
    """It is reported before anything is sent; status 2."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ran = ask("-m", "first/m", "--image", str(tmp_path / name), "what?")
    assert (ran.status, provider.requests) == (2, [])
    assert ran.err.startswith("llm-sync: --image ")


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """The path of a JSON Schema."""
    pytest.importorskip("jsonschema")
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def test_with_a_schema_the_object_is_printed(ask: Run, script: Any, provider: Simulator, schema: str) -> None:
    """As one line of JSON, whatever white space the model sent; the schema reaches the provider."""
    script.answer('{ "city":\n "Zürich" }')
    assert ask("-m", "first/m", "--schema", schema, "where?") == (0, '{"city": "Zürich"}\n', "")
    assert provider.requests[0].payload["response_format"]["json_schema"]["schema"] == SCHEMA


def test_an_answer_that_breaks_the_schema_is_none(ask: Run, script: Any, schema: str) -> None:
    """Status 8, and the field that is wrong."""
    script.answer('{"town": "Bern"}')
    script.answer('{"town": "Bern"}')
    ran = ask("-m", "first/m", "--schema", schema, "where?")
    assert (ran.status, ran.out) == (8, "")
    assert "city" in ran.err


def test_an_answer_that_was_cut_is_no_object(ask: Run, script: Any, schema: str) -> None:
    """Status 8, whether for a person or a program: half an object on standard output would be taken for one."""
    for _ in range(2):
        script.answer('{"city', "length")
    ran = ask("-m", "first/m", "--schema", schema, "where?")
    assert (ran.status, ran.out) == (8, "")
    assert "the output token limit cut the answer before its JSON was complete. Raise max_tokens." in ran.err
    ran = ask("-m", "first/m", "--schema", schema, "--json", "where?")
    assert (ran.status, json.loads(ran.out)["error"]["type"]) == (8, "TruncatedResponseError")


def test_an_answer_that_was_cut_names_the_model_that_was_asked(ask: Run, script: Any, schema: str) -> None:
    """Not the dated name that the provider gave in its reply, which is m here."""
    script.answer('{"city', "length", model="m-latest")
    ran = ask("-m", "first/m-latest", "--schema", schema, "where?")
    assert "llm-sync: first/m-latest: the output token limit cut the answer" in ran.err


@pytest.mark.parametrize(
    ("content", "wording"),
    [
        ("{", "is not JSON: line 1, column 2: "),
        ("[]", "is not a JSON Schema: it is not an object"),
        ('{"type": "objekt"}', "is not a JSON Schema"),
        ('{"minimum": NaN}', "is not JSON: JSON has no number NaN"),
        ('{"$ref": "https://example.com/s"}', "which is not in it"),
        ("[" * 100_000, "is "),
        ("\xff", "is not UTF-8"),
    ],
)
def test_a_schema_that_is_none(tmp_path: Path, content: str, wording: str) -> None:
    """The file is named, and what is wrong with it."""
    pytest.importorskip("jsonschema")
    path = tmp_path / "s.json"
    path.write_text(content, encoding="latin-1")
    printed = refusal("--schema", str(path))
    assert printed.startswith(f"--schema {str(path)!r}")
    assert wording in printed


def test_a_conversation_stands_in_a_file(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """A JSON list of messages, from a file or standard input."""
    talk = [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Who?"},
    ]
    (tmp_path / "talk.json").write_text(json.dumps(talk))
    assert ask("-m", "first/m", "--messages", str(tmp_path / "talk.json")).status == 0
    assert ask("-m", "first/m", "--messages", "-", stdin=json.dumps(talk).encode()).status == 0
    assert [record.payload["messages"] for record in provider.requests] == [talk, talk]


@pytest.mark.parametrize(
    ("content", "wording"),
    [
        ("{}", "is not a list"),
        ("[]", "holds no turn to answer"),
        ("[1]", "messages holds an int"),
        ('[{"role": "robot", "content": "x"}]', "'robot' is unknown"),
        ('[{"role": "user", "text": "x"}]', "text"),
        ('[{"role": "user", "content": ""}]', "is empty"),
        ("nonsense", "is not JSON"),
        ('[{"role": "user", "content": "x", "images": ["nowhere.png"]}]', "cannot be read: No such file"),
    ],
)
def test_a_conversation_that_is_none(ask: Run, provider: Simulator, tmp_path: Path, content: str, wording: str) -> None:
    """Status 2 before anything is sent, naming the option, the file and what is wrong."""
    path = tmp_path / "talk.json"
    path.write_text(content)
    ran = ask("-m", "first/m", "--messages", str(path))
    assert (ran.status, provider.requests) == (2, [])
    assert ran.err.startswith(f"llm-sync: --messages {str(path)!r}")
    assert wording in ran.err


def test_the_message_at_fault_is_numbered(ask: Run, tmp_path: Path) -> None:
    """In a long conversation it takes long to find."""
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([{"role": "user", "content": "x"}] * 3 + [{"role": "robot", "content": "x"}]))
    assert f"--messages {str(path)!r}, message 4: " in ask("-m", "first/m", "--messages", str(path)).err


def test_a_conversation_stands_alone(ask: Run, tmp_path: Path) -> None:
    """A prompt or an image beside it has no clear place."""
    assert "cannot be combined with a prompt" in ask("-m", "first/m", "--messages", "x", "hi").err
    assert "cannot be combined with --image" in ask("-m", "first/m", "--messages", "x", "--image", "y").err
    assert "cannot be combined with --file" in ask("-m", "first/m", "--messages", "x", "--file", "y").err


def test_a_conversation_in_openais_form(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """As its SDK writes it; what is not sent is told on standard error."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    talk = [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "name": "eva", "content": [{"type": "text", "text": "Add", "citations": [1]}]},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "name": "add", "content": "2"},
    ]
    (tmp_path / "talk.json").write_text(json.dumps(talk))
    ran = ask("-m", "first/m", "--messages", str(tmp_path / "talk.json"))
    assert ran.status == 0
    assert "content[0].citations is not sent" in ran.err
    sent = provider.requests[0].payload["messages"]
    assert [turn["role"] for turn in sent] == ["system", "user", "assistant", "tool"]
    assert (sent[1]["name"], sent[2]["tool_calls"]) == ("eva", [call])
    assert ask("-m", "first/m", "--strict", "--messages", str(tmp_path / "talk.json")).status == 2


def test_files_go_before_the_prompt(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """A PDF with its name, and whatever else the file is."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 x")
    (tmp_path / "b.png").write_bytes(PNG)
    ran = ask("-m", "first/m", "--file", str(tmp_path / "a.pdf"), "--file", str(tmp_path / "b.png"), "what?")
    assert ran.status == 0
    document, image, text = provider.requests[0].payload["messages"][-1]["content"]
    assert document["file"]["filename"] == "a.pdf"
    assert image["type"] == "image_url"
    assert text == {"type": "text", "text": "what?"}


@pytest.mark.parametrize(
    ("content", "wording"),
    [(None, "cannot be read: No such file"), (b"PK\x03\x04\x00", "neither a PDF nor text in UTF-8"), (b"", "is empty")],
)
def test_a_file_that_cannot_be_sent(ask: Run, provider: Simulator, tmp_path: Path, content: bytes | None, wording: str) -> None:
    """Status 2 before anything is sent, naming option and file."""
    path = tmp_path / "a.docx"
    if content is not None:
        path.write_bytes(content)
    ran = ask("-m", "first/m", "--file", str(path), "what?")
    assert (ran.status, provider.requests) == (2, [])
    assert ran.err.startswith(f"llm-sync: --file {str(path)!r}")
    assert wording in ran.err


def test_a_file_of_a_conversation_is_below_its_folder(ask: Run, provider: Simulator, tmp_path: Path) -> None:
    """As its images are: whoever wrote the conversation may not read all files."""
    (tmp_path / "received").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    talk = tmp_path / "received" / "talk.json"
    part = {"type": "document", "source": str(tmp_path / "secret.txt")}
    talk.write_text(json.dumps([{"role": "user", "parts": ["Read", part]}]))
    ran = ask("-m", "first/m", "--messages", str(talk))
    assert (ran.status, provider.requests) == (2, [])
    assert "allow its folder with --allow-files" in ran.err
    assert ask("-m", "first/m", "--messages", str(talk), "--allow-files", str(tmp_path)).status == 0
    assert "secret" in json.dumps(provider.requests[0].payload)


def test_settings_reach_the_wire(ask: Run, provider: Simulator) -> None:
    """provider_specific is merged into the payload."""
    assert ask("-m", "first/m", "--set", "reasoning_effort=low", "--set", "a.b=1", "hi").status == 0
    sent = provider.requests[0].payload
    assert (sent["reasoning_effort"], sent["a"]) == ("low", {"b": 1})


def test_a_streaming_switch_among_the_settings(ask: Run, provider: Simulator) -> None:
    """It is left out with a warning; --strict-streaming refuses it, status 7."""
    ran = ask("-m", "first/m", "--set", "stream=true", "hi")
    assert (ran.status, provider.requests[0].payload["stream"]) == (0, False)
    assert "never streams: stream" in ran.err
    assert ask("-m", "first/m", "--set", "stream=true", "--strict-streaming", "hi").status == 7
    assert len(provider.requests) == 1
