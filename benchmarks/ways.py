"""The clients: each function takes a server and returns a function that makes one blocking call and returns its text.

The file runs in the environment of the way's own package, so it imports nothing but the standard library at its top.
Each function is what the package's documentation shows for plain use, retries and logging as they come, with one client
for all calls of a thread (or of all threads, where the package's client is made for that).
"""

from __future__ import annotations

import json
import os
import platform
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Call = Callable[[], str]

MODEL = "m"
PROMPT = ("What is the answer to this question, in one sentence and in plain words? " * 13)[:900]
MESSAGES = [{"role": "user", "content": PROMPT}]
PAYLOAD = {"model": MODEL, "messages": MESSAGES}
KEY = "sk-loopback-0123456789abcdef"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Place:
    """A server. ``root``: the URL before the dialect's path; ``ca``: a PEM file for TLS; ``threads``: the number of callers."""

    root: str
    ca: str | None
    threads: int


def http_client(place: Place) -> Call:
    """The baseline: http.client and json, and gzip if the response is compressed."""
    import gzip
    import http.client

    parts = urlsplit(place.root)
    assert parts.hostname  # noqa: S101
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=place.ca)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port)
    path = f"{parts.path}/v1/chat/completions"

    def call() -> str:
        connection.request("POST", path, json.dumps(PAYLOAD).encode(), HEADERS)
        response = connection.getresponse()
        body = response.read()
        if response.getheader("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        text: str = json.loads(body)["choices"][0]["message"]["content"]
        return text

    return call


def urllib3_pool(place: Place) -> Call:
    """A urllib3 pool, without retries."""
    import urllib3

    pool = urllib3.PoolManager(ca_certs=place.ca) if place.ca else urllib3.PoolManager()
    url = f"{place.root}/v1/chat/completions"

    def call() -> str:
        response = pool.request("POST", url, body=json.dumps(PAYLOAD).encode(), headers=HEADERS, retries=False)
        text: str = json.loads(response.data)["choices"][0]["message"]["content"]
        return text

    return call


def requests_session(place: Place) -> Call:
    """``Session.post(json=…).json()``."""
    import requests

    session = requests.Session()
    url = f"{place.root}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {KEY}"}

    def call() -> str:
        answer = session.post(url, json=PAYLOAD, headers=headers, timeout=60, verify=place.ca or True).json()
        text: str = answer["choices"][0]["message"]["content"]
        return text

    return call


def httpx_client(place: Place) -> Call:
    """``httpx.Client.post(json=…).json()``."""
    import httpx

    client = httpx.Client(verify=ssl.create_default_context(cafile=place.ca) if place.ca else True, timeout=60)
    url = f"{place.root}/v1/chat/completions"

    def call() -> str:
        text: str = client.post(url, json=PAYLOAD, headers=HEADERS).json()["choices"][0]["message"]["content"]
        return text

    return call


def llm_sync_config(places: dict[str, str], concurrency: int = 1, ca: str | None = None) -> str:
    """A configuration file's text (JSON is YAML): providers by name, and where each is."""
    shared: dict[str, object] = {"type": "openai", "api_key": KEY, "models": [MODEL], "concurrency": concurrency}
    if ca:
        shared["ca_bundle"] = ca
    return json.dumps({"providers": {name: {**shared, "base_url": f"{root}/v1"} for name, root in places.items()}})


def llm_sync_client(config: str) -> Any:
    """A client for a configuration file's text."""
    import llm_sync

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(config)
        file.flush()
        return llm_sync.LLMClient.from_config(file.name)


def llm_sync(place: Place) -> Call:
    """``client.generate`` of one client with one request in flight per calling thread."""
    client = llm_sync_client(llm_sync_config({"loopback": place.root}, place.threads, place.ca))

    def call() -> str:
        text: str = client.generate(PROMPT).text
        return text

    return call


def llm_sync_one_lane(place: Place) -> Call:
    """``client.generate`` of one client with one request in flight at a time, the default."""
    return llm_sync(Place(place.root, place.ca, 1))


def _llm_sync_http(place: Place) -> Any:
    from llm_sync.transport.client import HTTPClient

    return HTTPClient(pool_size=place.threads, ca_bundle=place.ca)


def llm_sync_transport(place: Place) -> Call:
    """A part of llm-sync alone: its HTTPClient, with json as in the baseline."""
    http = _llm_sync_http(place)
    url = f"{place.root}/v1/chat/completions"

    def call() -> str:
        reply = http.post(url, json.dumps(PAYLOAD).encode(), HEADERS, timeout=60.0)
        text: str = json.loads(reply.content)["choices"][0]["message"]["content"]
        return text

    return call


def llm_sync_provider(place: Place) -> Call:
    """A part of llm-sync alone: one provider's request from payload to validated response, with retry policy and gate."""
    from llm_sync import ModelRequest
    from llm_sync.attempts.rate_gate import Gate
    from llm_sync.attempts.retry import RetryHandler
    from llm_sync.config import ConfigLoader
    from llm_sync.models import AttemptOptions
    from llm_sync.providers.factory import ProviderFactory
    from llm_sync.runtime.cancellation import CallControl

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(llm_sync_config({"loopback": place.root}, 1, place.ca))
        file.flush()
        config = ConfigLoader().load_config(file.name).providers["loopback"]
    retry = RetryHandler(Gate("loopback"), provider="loopback")
    provider = ProviderFactory.provider_class("openai")(config, _llm_sync_http(place), retry)
    request, options = ModelRequest(PROMPT, MODEL), AttemptOptions()

    def call() -> str:
        text: str = provider.generate_response(request, options, CallControl(1)).text
        return text

    return call


def llm_sync_queue(place: Place) -> Call:  # noqa: ARG001  (nothing is sent)
    """A part of llm-sync alone: an empty call through a provider's queue and worker thread, and back."""
    from llm_sync.dispatch.manager import ConcurrentLLMManager
    from llm_sync.dispatch.queue import ProviderRequestQueue
    from llm_sync.events import log_event

    manager = ConcurrentLLMManager(lambda name: ProviderRequestQueue(name, emit=log_event))

    def call() -> str:
        text: str = manager.call("loopback", lambda: "text")
        return text

    return call


def stand_in_for_openai(place: Place) -> Call:
    """``llm_sync.compat.openai`` as scripts of today call it; with TLS it would need a configuration."""
    from llm_sync.compat import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{place.root}/v1")

    def call() -> str:
        text: str = client.chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content
        return text

    return call


def stand_in_for_old_openai(place: Place) -> Call:
    """``llm_sync.compat.openai`` as scripts of 2023 call it."""
    from llm_sync.compat import openai

    openai.api_key, openai.api_base = KEY, f"{place.root}/v1"

    def call() -> str:
        text: str = openai.ChatCompletion.create(model=MODEL, messages=MESSAGES)["choices"][0]["message"]["content"]
        return text

    return call


def stand_in_for_responses(place: Place) -> Call:
    """``llm_sync.compat.openai`` at the Responses API."""
    from llm_sync.compat import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{place.root}/v1")

    def call() -> str:
        text: str = client.responses.create(model=MODEL, input=PROMPT).output_text
        return text

    return call


def stand_in_for_anthropic(place: Place) -> Call:
    """``llm_sync.compat.anthropic``."""
    from llm_sync.compat import anthropic

    client = anthropic.Anthropic(api_key=KEY, base_url=place.root)

    def call() -> str:
        text: str = client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=1000).content[0].text
        return text

    return call


def stand_in_for_litellm(place: Place) -> Call:
    """``llm_sync.compat.litellm``."""
    from llm_sync.compat import litellm

    def call() -> str:
        answer = litellm.completion(model=f"openai/{MODEL}", messages=MESSAGES, api_key=KEY, api_base=f"{place.root}/v1")
        text: str = answer.choices[0].message.content
        return text

    return call


def openai(place: Place) -> Call:
    """The openai SDK."""
    import openai

    _trust(place)
    client = openai.OpenAI(api_key=KEY, base_url=f"{place.root}/v1")

    def call() -> str:
        text: str = client.chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content
        return text

    return call


def anthropic(place: Place) -> Call:
    """The anthropic SDK."""
    import anthropic

    _trust(place)
    client = anthropic.Anthropic(api_key=KEY, base_url=place.root)

    def call() -> str:
        text: str = client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=1000).content[0].text
        return text

    return call


def google_genai(place: Place) -> Call:
    """The google-genai SDK."""
    from google import genai

    _trust(place)
    client = genai.Client(api_key=KEY, http_options={"base_url": place.root})

    def call() -> str:
        text: str = client.models.generate_content(model=MODEL, contents=PROMPT).text
        return text

    return call


def aisuite(place: Place) -> Call:
    """aisuite over the openai SDK."""
    import aisuite

    _trust(place)
    client = aisuite.Client({"openai": {"api_key": KEY, "base_url": f"{place.root}/v1"}})

    def call() -> str:
        text: str = client.chat.completions.create(model=f"openai:{MODEL}", messages=MESSAGES).choices[0].message.content
        return text

    return call


def litellm(place: Place) -> Call:
    """``litellm.completion``."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise its import loads prices over the network
    _trust(place)
    import litellm

    def call() -> str:
        answer = litellm.completion(model=f"openai/{MODEL}", messages=MESSAGES, api_key=KEY, api_base=f"{place.root}/v1")
        text: str = answer.choices[0].message.content
        return text

    return call


def langchain_openai(place: Place) -> Call:
    """``ChatOpenAI.invoke``."""
    _trust(place)
    from langchain_openai import ChatOpenAI

    client = ChatOpenAI(model=MODEL, api_key=KEY, base_url=f"{place.root}/v1")

    def call() -> str:
        text: str = client.invoke(PROMPT).content
        return text

    return call


def any_llm(place: Place) -> Call:
    """``any_llm.completion``."""
    _trust(place)
    from any_llm import completion

    def call() -> str:
        answer = completion(MODEL, MESSAGES, provider="openai", api_key=KEY, api_base=f"{place.root}/v1")
        text: str = answer.choices[0].message.content
        return text

    return call


def _trust(place: Place) -> None:
    if place.ca:
        os.environ["SSL_CERT_FILE"] = place.ca  # read by httpx, which these packages use


WAYS: dict[str, Callable[[Place], Call]] = {
    "http.client": http_client,
    "urllib3": urllib3_pool,
    "requests": requests_session,
    "httpx": httpx_client,
    "llm-sync": llm_sync,
    "llm-sync (one lane)": llm_sync_one_lane,
    "openai": openai,
    "anthropic": anthropic,
    "google-genai": google_genai,
    "aisuite": aisuite,
    "langchain-openai": langchain_openai,
    "litellm": litellm,
    "any-llm-sdk": any_llm,
    "llm-sync: transport": llm_sync_transport,
    "llm-sync: provider": llm_sync_provider,
    "llm-sync: queue": llm_sync_queue,
    "llm-sync as openai": stand_in_for_openai,
    "llm-sync as openai 0.x": stand_in_for_old_openai,
    "llm-sync as openai, responses": stand_in_for_responses,
    "llm-sync as anthropic": stand_in_for_anthropic,
    "llm-sync as litellm": stand_in_for_litellm,
}
OWN_CLIENT_EACH = ("http.client", "requests")  # their clients are not thread-safe


def per_thread(name: str, place: Place) -> Call:
    """The client's call as any thread may make it."""
    if name not in OWN_CLIENT_EACH:
        return WAYS[name](place)
    local = threading.local()

    def call() -> str:
        own: Call | None = getattr(local, "call", None)
        if own is None:
            own = local.call = WAYS[name](place)
        return own()

    return call


def version(name: str) -> str:
    """The version of a client's package, or of Python."""
    if name == "http.client":
        return platform.python_version()
    from importlib.metadata import version

    return version("llm-sync" if name.startswith("llm-sync") else name)
