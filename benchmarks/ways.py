"""The ways to make one blocking call: each takes where to call and gives a function that makes the call and returns its text.

The file runs in the environment of the way's own package, so it imports nothing but the standard library at its top.
Each function is what the package's documentation shows for plain use, retries and logging as they come, with one client
for all calls of a thread (or of all threads, where the package's client is made for that).
"""

from __future__ import annotations

import json
import os
import ssl
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
    """Where to call: ``root`` is what stands before the dialect's own path; ``ca``: a PEM file for TLS; ``threads`` call."""

    root: str
    ca: str | None
    threads: int


def http_client(place: Place) -> Call:
    """The floor: http.client and json."""
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
        text: str = json.loads(connection.getresponse().read())["choices"][0]["message"]["content"]
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
        text: str = session.post(url, json=PAYLOAD, headers=headers, timeout=60).json()["choices"][0]["message"]["content"]
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


def llm_sync_config(place: Place, concurrency: int) -> str:
    """A configuration file's text for llm-sync."""
    provider = {"type": "openai", "api_key": KEY, "base_url": f"{place.root}/v1", "models": [MODEL], "concurrency": concurrency}
    if place.ca:
        provider["ca_bundle"] = place.ca
    return json.dumps({"providers": {"loopback": provider}})


def _llm_sync_client(place: Place, concurrency: int) -> Any:
    import tempfile

    import llm_sync

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(llm_sync_config(place, concurrency))
        file.flush()
        return llm_sync.LLMClient.from_config(file.name)


def llm_sync(place: Place) -> Call:
    """``client.generate`` of one client, as many requests in flight as threads call."""
    client = _llm_sync_client(place, place.threads)

    def call() -> str:
        text: str = client.generate(PROMPT).text
        return text

    return call


def llm_sync_one_lane(place: Place) -> Call:
    """``client.generate`` of one client, one request in flight at a time: how it comes."""
    client = _llm_sync_client(place, 1)

    def call() -> str:
        text: str = client.generate(PROMPT).text
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
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import asks the network for prices
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
}
OWN_CLIENT_EACH = ("http.client", "requests")  # their clients are not made for several threads


def per_thread(name: str, place: Place) -> Call:
    """The way as any thread may call it."""
    if name not in OWN_CLIENT_EACH:
        return WAYS[name](place)
    local = threading.local()

    def call() -> str:
        own: Call | None = getattr(local, "call", None)
        if own is None:
            own = local.call = WAYS[name](place)
        return own()

    return call
