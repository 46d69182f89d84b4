"""Where requests go, how long and how often they are tried, and what the clients behind the shims share."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, errors
from llm_sync.compat import anthropic, litellm, openai
from llm_sync.compat.shim import settings, shared_clients, targets
from llm_sync.config import trust
from llm_sync.simulator import Response, Simulator

HELLO = [{"role": "user", "content": "Say hello"}]
KEY = "sk-script-0123456789abcdef"
PATIENCE_S = 10.0


def ask(client: Any, model: str = "gpt-4o-mini", **arguments: Any) -> Any:
    """A chat completion."""
    return client.chat.completions.create(model=model, messages=HELLO, **arguments)


def test_a_configuration_routes_every_shape_to_every_provider(upstream: Any, configured: Path) -> None:
    """Bare and full names, answers translated: chat, responses and messages, each from each."""
    for model, name in (
        ("gpt-4o-mini", "openai"),
        ("anthropic/claude-haiku-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("other/gpt-4.1", "other"),
    ):
        chat = ask(openai.OpenAI(), model, max_tokens=500)
        assert "Say hello" in chat.choices[0].message.content
        assert (chat.choices[0].finish_reason, chat.object, chat.llm_sync[0].provider) == ("stop", "chat.completion", name)
        assert chat.usage.total_tokens > 0
        response = openai.OpenAI().responses.create(model=model, input="Say hello", max_output_tokens=500)
        assert "Say hello" in response.output_text
        assert (response.status, response.object) == ("completed", "response")
        assert response.usage.total_tokens > 0
        message = anthropic.Anthropic().messages.create(model=model, messages=HELLO, max_tokens=500)
        assert "Say hello" in message.content[0].text
        assert (message.stop_reason, message.type) == ("end_turn", "message")
        assert message.usage.output_tokens > 0
        assert "Say hello" in litellm.completion(model=model, messages=HELLO, max_tokens=500).choices[0].message.content
        openai.api_key = None
        assert "Say hello" in openai.ChatCompletion.create(model=model, messages=HELLO).choices[0]["message"]["content"]


def test_a_script_that_names_its_provider_is_rehearsed(
    rehearsal: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every shim, without a configuration: what it would ask elsewhere is asked at the simulator, with its key alone."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert ask(openai.OpenAI(api_key=KEY)).choices
    assert openai.OpenAI(api_key=KEY).responses.create(model="gpt-4o-mini", input="Say hello", max_output_tokens=50).output_text
    azure = openai.AzureOpenAI(api_key=KEY, azure_endpoint="https://x.openai.azure.com", api_version="2024-10-21")
    assert ask(azure).choices
    assert anthropic.Anthropic(api_key=KEY).messages.create(model="claude-haiku-4-5", messages=HELLO, max_tokens=50).content
    assert litellm.completion(model="groq/llama-3", messages=HELLO).choices
    assert openai.OpenAI(api_key=KEY).models.list().data
    assert [record.outcome for record in rehearsal.requests] == ["ok"] * 6
    assert KEY not in repr(rehearsal.requests)
    assert "answered by the simulator" in caplog.text


def test_tool_calls_are_translated(upstream: Any, configured: Path) -> None:
    """A call of one dialect in the shape of the other."""
    tool = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
    chat = ask(openai.OpenAI(), "claude-haiku-4-5", tools=[{"type": "function", "function": tool}], tool_choice="required")
    assert chat.choices[0].finish_reason == "tool_calls"
    assert chat.choices[0].message.tool_calls[0].function.name == "add"
    response = openai.OpenAI().responses.create(
        model="claude-haiku-4-5", input="Add", tools=[{"type": "function", **tool}], tool_choice="required"
    )
    assert [(item.type, item.name) for item in response.output] == [("function_call", "add")]
    message = anthropic.Anthropic().messages.create(
        model="gpt-4o-mini",
        messages=HELLO,
        max_tokens=500,
        tools=[{"name": "add", "input_schema": tool["parameters"], "cache_control": {"type": "ephemeral"}}],
        tool_choice={"type": "tool", "name": "add", "disable_parallel_tool_use": True},
    )
    assert message.stop_reason == "tool_use"
    assert isinstance(message.content[0].input["a"], int)
    assert upstream.bodies[-1]["parallel_tool_calls"] is False
    assert [each.parameter for each in message.adjustments] == ["tools.cache_control"]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (
            "anthropic/claude-haiku-4-5",
            {
                "type": "message",
                "role": "assistant",
                "stop_reason": "tool_use",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"},
                    {"type": "text", "text": "So"},
                    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
                ],
            },
        ),
        (
            "gemini/gemini-2.5-flash",
            {
                "candidates": [
                    {
                        "finishReason": "STOP",
                        "content": {"parts": [{"functionCall": {"name": "add", "args": {}}, "thoughtSignature": "c2lnbmVk"}]},
                    }
                ]
            },
        ),
    ],
)
@pytest.mark.usefixtures("configured")
def test_a_responses_output_of_any_provider_goes_back_with_its_state(upstream: Any, model: str, body: Any) -> None:
    """A script hands the items back as they came: the provider gets its signature, and OpenAI gets nothing of it."""
    client = openai.OpenAI()
    tools = [{"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}]
    upstream.answers.append(Response(200, body))
    first = client.responses.create(model=model, input="Add", tools=tools)
    (call,) = [item for item in first.output if item.type == "function_call"]
    again = [{"role": "user", "content": "Add"}, *first.output]
    again.append({"type": "function_call_output", "call_id": call.call_id, "output": "5"})
    assert client.responses.create(model=model, input=again, tools=tools).output_text
    assert "c2lnbmVk" in json.dumps(upstream.bodies[1])
    assert client.responses.create(model="other/gpt-4.1", input=again, tools=tools).output_text
    assert "c2lnbmVk" not in json.dumps(upstream.bodies[2])


def test_a_default_model_may_be_left_out(upstream: Any, configured: Path) -> None:
    """Where a configuration has one."""
    assert openai.OpenAI().chat.completions.create(messages=HELLO).model.startswith("gpt-4o-mini")
    assert openai.ChatCompletion.create(messages=HELLO).model.startswith("gpt-4o-mini")


def test_a_model_that_nobody_lists_is_asked_for_where_the_original_would_ask(
    upstream: Any, configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old script knows nothing of the configuration; the provider says whether there is such a model."""
    for _ in range(2):
        assert "Say hello" in ask(openai.OpenAI(), "gpt-4-0613").choices[0].message.content
    said = capsys.readouterr().err
    assert said == f"llm-sync: gpt-4-0613 is listed by no provider of {configured}; openai is asked for it\n"
    assert "Say hello" in ask(openai.OpenAI(), "claude-3-haiku-20240307").choices[0].message.content
    assert "anthropic is asked for it" in capsys.readouterr().err
    message = anthropic.Anthropic().messages.create(model="claude-3-opus-20240229", messages=HELLO, max_tokens=500)
    assert "Say hello" in message.content[0].text
    with pytest.raises(openai.NotFoundError) as caught:
        ask(openai.OpenAI(), "gpt-none")
    assert caught.value.status_code == 404
    assert upstream.bodies[-1]["model"] == "gpt-none"


def test_a_model_that_nobody_could_have_is_not_found(upstream: Any, configured: Path) -> None:
    """Status 404, and the candidates are named; nothing is sent."""
    configured.write_text(configured.read_text().replace("  anthropic:", "  another: {type: anthropic, models: [x]}\n  claude:"))
    for model in ("nowhere/gpt-4o", "openai/"):
        with pytest.raises(openai.NotFoundError, match="openai/gpt-4o-mini") as caught:
            ask(openai.OpenAI(), model)
        assert caught.value.status_code == 404
    with pytest.raises(anthropic.NotFoundError, match="no provider lists"):  # of two, neither is the obvious one
        anthropic.Anthropic().messages.create(model="claude-9", messages=HELLO, max_tokens=500)
    assert upstream.bodies == []


def test_a_key_that_a_configuration_overrules_is_reported_once(
    upstream: Any, configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provider is asked at another host than the key is meant for, so the configuration's own key goes there."""
    client = openai.OpenAI(api_key="sk-unused-0123456789")
    for _ in range(2):
        ask(client)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(configured) in said
    assert "api_key= of the script is not used" in said
    assert "sk-unused" not in said
    assert {record.key_hash for record in upstream.simulator.requests} == {key_hash(KEY)}
    ask(openai.OpenAI(timeout=5, max_retries=1))
    litellm.completion(model="gpt-4o-mini", messages=HELLO, api_key="sk-unused-0123456789")
    assert capsys.readouterr().err == ""


def key_hash(key: str) -> str:
    """A key as the simulator's log has it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


EACH_CALL_WITH_A_BASE_URL = pytest.mark.parametrize(
    "call",
    [
        lambda url: ask(openai.OpenAI(api_key=KEY, base_url=f"{url}/openai/v1")),
        lambda url: ask(openai.OpenAI(api_key=KEY).with_options(base_url=f"{url}/openai/v1")),
        lambda url: openai.OpenAI(api_key=KEY, base_url=f"{url}/openai/v1").models.list().data,
        lambda url: openai.ChatCompletion.create(model="gpt-4o-mini", messages=HELLO, api_key=KEY, api_base=f"{url}/openai/v1"),
        lambda url: anthropic.Anthropic(api_key=KEY, base_url=f"{url}/anthropic").messages.create(
            model="claude-haiku-4-5", messages=HELLO, max_tokens=500
        ),
        lambda url: litellm.completion(model="gpt-4o-mini", messages=HELLO, api_key=KEY, api_base=f"{url}/openai/v1"),
    ],
    ids=["openai", "openai with_options", "openai listing", "openai 0.28", "anthropic", "litellm"],
)


@EACH_CALL_WITH_A_BASE_URL
def test_a_base_url_of_the_script_is_kept(upstream: Any, configured: Path, capsys: pytest.CaptureFixture[str], call: Any) -> None:
    """Under a configuration too: neither prompt nor key reaches another host, and a line says how to change that."""
    with Simulator(keys=[KEY]) as own:
        assert call(own.root)
        assert len(own.requests) == 1
    assert upstream.bodies == []
    said = capsys.readouterr().err
    assert f"requests go to {own.root.partition('://')[2]}, as the script says, not where {configured} says" in said


@EACH_CALL_WITH_A_BASE_URL
def test_route_config_sends_everything_where_the_configuration_says(
    upstream: Any, configured: Path, monkeypatch: pytest.MonkeyPatch, call: Any
) -> None:
    """``run-script --route config``: the user maps the script's own address."""
    monkeypatch.setenv("LLM_SYNC_ROUTE", "config")
    assert call("http://127.0.0.1:9")
    assert upstream.simulator.requests


def test_route_maps_one_base_url_to_a_provider(upstream: Any, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run-script --route URL=PROVIDER``, whatever the case of the host and the slash at its end; others are kept."""
    monkeypatch.setenv("LLM_SYNC_ROUTE", "http://LOCALHOST:9/v1=openai")
    assert ask(openai.OpenAI(api_key=KEY, base_url="http://localhost:9/v1/"), "gpt-4o-2024-08-06").choices
    assert upstream.bodies[0]["model"] == "gpt-4o-2024-08-06"
    with pytest.raises(openai.APIConnectionError):
        ask(openai.OpenAI(api_key=KEY, base_url="http://localhost:9/v2"))
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize(
    ("route", "named"), [("nonsense", "nonsense"), ("=openai", "=openai"), ("http://localhost:9/v1=nobody", "nobody")]
)
def test_a_route_that_cannot_be_is_an_error(
    upstream: Any, configured: Path, monkeypatch: pytest.MonkeyPatch, route: str, named: str
) -> None:
    """It is named, and nothing is sent."""
    monkeypatch.setenv("LLM_SYNC_ROUTE", route)
    with pytest.raises(openai.OpenAIError, match=named) as caught:
        ask(openai.OpenAI(api_key=KEY, base_url="http://localhost:9/v1"))
    assert isinstance(caught.value.__cause__, errors.ConfigurationError)
    assert upstream.bodies == []


def test_each_client_keeps_its_own_key_at_a_provider_with_its_base_url(upstream: Any, configured: Path) -> None:
    """The provider's other settings apply; two clients with two keys are billed apart."""
    own = ("sk-first-0123456789", "sk-second-0123456789")
    for key in own:
        ask(openai.OpenAI(api_key=key, base_url=upstream.url()))
    ask(openai.OpenAI(base_url=upstream.url()))
    assert [record.key_hash for record in upstream.simulator.requests] == [key_hash(key) for key in (*own, KEY)]


def test_headers_of_a_call_are_told_under_a_configuration(upstream: Any, configured: Path) -> None:
    """An adjustment: the configuration says what headers are sent."""
    completion = ask(openai.OpenAI(), extra_headers={"X": "1"}, extra_query={"a": "b"})
    assert [each.parameter for each in completion.adjustments] == ["extra_headers", "extra_query"]


def test_a_named_configuration_that_is_not_there_is_an_error(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a reason to go by the script's own settings."""
    monkeypatch.setenv("LLM_SYNC_CONFIG", "nowhere")
    with pytest.raises(openai.OpenAIError, match="nowhere") as caught:
        ask(openai.OpenAI(api_key=KEY, base_url=upstream.url()))
    assert isinstance(caught.value.__cause__, errors.ConfigurationError)
    assert upstream.bodies == []


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the configuration that is found in the working folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def written(text: str) -> Path:
        path = tmp_path / "config" / "llms" / "default-llms.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    return written


def test_a_configuration_with_mistakes_is_an_error(
    upstream: Any, in_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found where it is looked for without a name; every mistake is told."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    in_folder("providers: {openai: {modells: []}}")
    with pytest.raises(openai.OpenAIError, match="modells"):
        ask(openai.OpenAI())


HOSTILE = "providers: {{evil: {{type: openai, base_url: '{url}', api_key: '${{OPENAI_API_KEY}}', models: [gpt-4o-mini]}}}}"
HARMLESS = "providers: {{evil: {{type: openai, base_url: '{url}', models: [gpt-4o-mini]}}}}"


@pytest.mark.parametrize("text", [HOSTILE, HARMLESS])
def test_a_key_and_a_base_url_of_the_script_go_before_an_untrusted_file(
    upstream: Any, in_folder: Callable[[str], Path], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in ./config/llms: the script's requests go where the script says; the notice tells how to change that."""
    in_folder(text.format(url="http://127.0.0.1:9/v1"))
    assert ask(openai.OpenAI(api_key=KEY, base_url=upstream.url())).choices
    assert "was only found in the working folder" in capfd.readouterr().err


def test_a_key_of_the_script_alone_goes_before_an_untrusted_file(in_folder: Callable[[str], Path]) -> None:
    """To the original's own host, with the script's key."""
    in_folder(HARMLESS.format(url="http://127.0.0.1:9/v1"))
    settings = openai.OpenAI(api_key=KEY).context().settings
    assert targets.follows_configuration(settings) is False


def test_without_settings_of_its_own_a_script_needs_trust(
    upstream: Any, in_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's key is not sent to the file's host; once the file is trusted, its rules apply."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = in_folder(HOSTILE.format(url=upstream.url()))
    with pytest.raises(openai.OpenAIError, match="is not trusted"):
        ask(openai.OpenAI())
    assert upstream.bodies == []
    trust.record_trust(path)
    settings.reset()
    assert ask(openai.OpenAI()).choices
    assert targets.follows_configuration(openai.OpenAI(api_key=KEY).context().settings) is True


def test_the_environment_makes_a_provider(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables of each original; a model's name goes as it is, slashes too."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.url("openrouter"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", upstream.url("anthropic"))
    monkeypatch.setenv("OPENAI_API_BASE", upstream.url())
    assert ask(openai.OpenAI(), "openai/gpt-4o-mini").choices
    assert upstream.bodies[0]["model"] == "openai/gpt-4o-mini"
    assert anthropic.Anthropic().messages.create(model="claude-haiku-4-5", messages=HELLO, max_tokens=500).content
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert litellm.completion(model="gpt-4o-mini", messages=HELLO).choices


def test_plain_http_to_another_machine_is_refused(upstream: Any) -> None:
    """As everywhere: a key would travel readable."""
    with pytest.raises(openai.OpenAIError, match="plain http"):
        ask(openai.OpenAI(api_key=KEY, base_url="http://192.0.2.1/v1"))


def test_headers_and_query_of_a_script_are_sent(upstream: Any) -> None:
    """The client's own, the organization, and those of one call, which come last."""
    client = openai.OpenAI(
        api_key=KEY, base_url=upstream.url(), organization="org", default_headers={"X-A": "1"}, default_query={"q": "1"}
    )
    context = client.context()
    assert dict(context.settings.headers) == {"OpenAI-Organization": "org", "X-A": "1"}
    assert context.settings.query == (("q", "1"),)
    ask(client, extra_headers={"X-A": "2"}, extra_query={"z": "9"})
    behind = [client for client in shared_clients._clients._clients.values() if client.config.providers["openai"].query]
    (provider,) = [client.config.providers["openai"] for client in behind]
    assert provider.headers == {"OpenAI-Organization": "org", "X-A": "2"}
    assert provider.query == {"q": "1", "z": "9"}
    claude = anthropic.Anthropic(api_key=KEY, base_url=upstream.url("anthropic"))
    claude.messages.create(model="claude-haiku-4-5", messages=HELLO, max_tokens=500, user_profile_id="u")
    made = list(shared_clients._clients._clients.values())[-1].config.providers["anthropic"]
    assert made.headers == {"anthropic-user-profile-id": "u"}


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, None),
        (openai.NOT_GIVEN, None),
        (3, 3.0),
        ((1, 7), 7.0),
        (openai.Timeout(9), 9.0),
        (openai.Timeout(9, read=4), 4.0),
        (openai.Timeout(None), None),
    ],
)
def test_a_timeout_is_one_number(timeout: Any, seconds: float | None) -> None:
    """Whatever form the script has it in."""
    from llm_sync.compat.shim.calls import seconds as read

    assert read(timeout) == seconds


@pytest.mark.parametrize("timeout", ["3", True, object(), -1, 0, float("nan")])
def test_an_impossible_timeout_is_a_bad_request(client: Any, upstream: Any, timeout: Any) -> None:
    """Nothing is sent."""
    with pytest.raises(openai.BadRequestError):
        ask(client, timeout=timeout)
    assert upstream.bodies == []


def test_retries_are_the_scripts(upstream: Any) -> None:
    """max_retries counts those after the first, by client, and in the originals' number where nothing is said."""
    quick = (("x-should-retry", "true"), ("retry-after", "0"))
    client = openai.OpenAI(api_key=KEY, base_url=upstream.url(), max_retries=1)
    upstream.fail(500, times=3, headers=quick)
    with pytest.raises(openai.InternalServerError):
        ask(client)
    assert len(upstream.bodies) == 2
    assert client.context().settings.config().providers["openai"].attempts.max_retries == settings.MAX_RETRIES == 2
    attempts = client.context().settings.config().providers["openai"].attempts
    assert attempts.deadline > attempts.timeout * (attempts.max_retries + 1)


def test_a_long_timeout_has_a_deadline_that_lets_it(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that waits half an hour for an answer is not cut after ten minutes."""
    on_import: list[dict[str, Any]] = []
    real = LLMClient.generate_response

    def listen(self: LLMClient, request: Any, **options: Any) -> Any:
        on_import.append(options)
        return real(self, request, **options)

    monkeypatch.setattr(LLMClient, "generate_response", listen)
    ask(openai.OpenAI(api_key=KEY, base_url=upstream.url(), timeout=1800, max_retries=0))
    assert on_import == [{"timeout": 1800.0, "max_retries": 0, "deadline": 1920.0}]


def test_clients_of_equal_settings_share_what_is_behind_them(upstream: Any) -> None:
    """A client for each call leaves one LLMClient, one worker and one connection."""
    for _ in range(20):
        ask(openai.OpenAI(api_key=KEY, base_url=upstream.url()))
    assert len(shared_clients._clients._clients) == 1
    workers = [thread for thread in threading.enumerate() if "openai" in thread.name and "helper" not in thread.name]
    assert len(workers) == 1
    ask(openai.OpenAI(api_key="sk-another-0123456789", base_url=upstream.url()))
    assert len(shared_clients._clients._clients) == 2


def test_there_are_never_more_than_so_many(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one used longest ago is forgotten; who still holds it goes on."""
    monkeypatch.setattr(shared_clients._clients, "_most", 2)
    clients = [openai.OpenAI(api_key=f"sk-{number}-0123456789", base_url=upstream.url()) for number in range(4)]
    for client in clients:
        ask(client)
    assert len(shared_clients._clients._clients) == 2
    kept = list(shared_clients._clients._clients)
    shared_clients.by_settings(clients[2].context().settings, False)
    assert list(shared_clients._clients._clients) == [kept[1], kept[0]]
    assert all(ask(client).choices for client in clients)


def test_closing_makes_room_for_new_ones(upstream: Any) -> None:
    """shared_clients.close ends them all; the next call makes another."""
    client = openai.OpenAI(api_key=KEY, base_url=upstream.url())
    ask(client)
    targets.close()
    assert shared_clients._clients._clients == {}
    assert ask(client).choices


def test_many_threads_are_many_requests_at_once(upstream: Any) -> None:
    """The script's own threads decide, as with the originals."""
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(openai.OpenAI(api_key=KEY, base_url=upstream.url()))))
        for _ in range(5)
    ]
    with upstream.simulator.hold() as hold:
        for thread in threads:
            thread.start()
        hold.wait(5)
        hold.release(5)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(answers) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_asks_too(upstream: Any) -> None:
    """With the client its parent made and used; the parent goes on."""
    client = openai.OpenAI(api_key=KEY, base_url=upstream.url())
    ask(client)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if ask(client).choices else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(client).choices
    assert len(upstream.bodies) == 3


def blocked() -> Response:
    """A refusal."""
    message = {"role": "assistant", "content": None, "refusal": "I will not"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Response(200, {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]})


@pytest.mark.parametrize(
    ("text", "finish", "word"),
    [
        ("cut o", "length", "cut"),
        ("", "length", "cut"),
        (None, "content_filter", "blocked"),
        ("half", "content_filter", "blocked"),
        ("", "stop", "no text"),
        (None, "stop", "no text"),
    ],
)
def test_what_is_no_good_answer_reaches_the_script_with_one_warning(
    client: Any, upstream: Any, capsys: pytest.CaptureFixture[str], text: str | None, finish: str, word: str
) -> None:
    """As the original would give it: its text and its finish_reason."""
    upstream.say(text, finish)
    completion = ask(client)
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == (text, finish)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert word in said
    assert "LLM_SYNC_STRICT=1" in said


def test_a_refusal_reaches_the_script(client: Any, upstream: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """In message.refusal, with finish_reason stop, as OpenAI sends it."""
    upstream.answers.append(blocked())
    completion = ask(client)
    assert (completion.choices[0].message.refusal, completion.choices[0].finish_reason) == ("I will not", "stop")
    assert "blocked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "finish", "kind"),
    [
        ("cut o", "length", openai.LengthFinishReasonError),
        ("", "length", openai.LengthFinishReasonError),
        (None, "content_filter", openai.ContentFilterFinishReasonError),
        ("", "stop", openai.APIResponseValidationError),
    ],
)
def test_under_strict_it_is_an_exception(
    client: Any, upstream: Any, monkeypatch: pytest.MonkeyPatch, text: str | None, finish: str, kind: type[Exception]
) -> None:
    """Whose cause has the answer that came."""
    monkeypatch.setenv("LLM_SYNC_STRICT", "1")
    upstream.say(text, finish)
    with pytest.raises(kind) as caught:
        ask(client)
    assert isinstance(caught.value.__cause__, errors.UnusableAnswerError)
    assert caught.value.__cause__.response is not None


def test_the_other_originals_hand_on_and_refuse_alike(
    claude: Any, lite: Any, old: Any, upstream: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """stop_reason, finish_reason; under strict their own exceptions."""

    def calls() -> list[Any]:
        return [
            lambda: claude.messages.create(model="claude-haiku-4-5", messages=HELLO, max_tokens=1),
            lambda: lite(max_tokens=1),
            lambda: old.ChatCompletion.create(model="gpt-4o-mini", messages=HELLO, max_tokens=1),
            lambda: litellm.batch_completion("openai/gpt-4o-mini", [HELLO], api_key=KEY, api_base=upstream.url(), max_tokens=1)[
                0
            ],
        ]

    answers = [call() for call in calls()]
    assert answers[0].stop_reason == "max_tokens"
    assert [answer.choices[0].finish_reason for answer in answers[1:]] == ["length"] * 3
    assert capsys.readouterr().err.count("was cut") == 2  # once for each model
    monkeypatch.setenv("LLM_SYNC_STRICT", "1")
    targets.close()
    for call, kind in zip(calls(), (anthropic.AnthropicError, litellm.OpenAIError, openai.OpenAIError, None), strict=True):
        if kind is None:
            assert isinstance(call(), litellm.OpenAIError)
            continue
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value.__cause__, errors.TruncatedResponseError)


def test_a_malformed_answer_is_an_exception_always(client: Any, claude: Any, lite: Any, upstream: Any) -> None:
    """No original could make an answer of it."""
    upstream.answers += [Response(200, {"choices": 7})] * 3
    with pytest.raises(openai.APIResponseValidationError, match="choices"):
        ask(client)
    with pytest.raises(anthropic.APIResponseValidationError):
        claude.messages.create(model="claude-haiku-4-5", messages=HELLO, max_tokens=5)
    with pytest.raises(litellm.APIResponseValidationError):
        lite()
