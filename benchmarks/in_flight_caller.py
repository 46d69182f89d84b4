"""One client with many requests in flight: a process that makes them and reports what they cost.

usage: in_flight_caller.py WAY URL CA IN_FLIGHT CALLS ROUNDS. Prints one line of JSON: calls a second, microseconds of CPU a call
and the seconds of a round (medians), the most memory (MB), the threads, and the memory before the first call.
"""

from __future__ import annotations

import json
import os
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

KEY = "sk-loopback-0123456789abcdef"
PROMPT = ("What is the answer to this question, in one sentence and in plain words? " * 13)[:900]
MESSAGES = [{"role": "user", "content": PROMPT}]
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", "Accept-Encoding": "gzip, deflate"}

Run = Callable[[int], Any]  # makes so many calls


def payload() -> bytes:
    """The body of each request."""
    return json.dumps({"model": "m", "messages": MESSAGES}).encode()


def text_of(body: bytes) -> str:
    """The answer."""
    text: str = json.loads(body)["choices"][0]["message"]["content"]
    return text


def llm_sync_client(url: str, ca: str | None, in_flight: int, providers: int = 1) -> Any:
    """A client with providers p0, p1 …, each with its share in flight."""
    from llm_sync import LLMClient
    from llm_sync.config import ConfigLoader

    entry = {"type": "openai", "concurrency": max(1, in_flight // providers), "base_url": url, "api_key": KEY, "models": ["m"]}
    entry |= {} if ca is None else {"ca_bundle": ca}
    return LLMClient(ConfigLoader().load_text(json.dumps({"providers": {f"p{number}": entry for number in range(providers)}})))


def llm_sync_map(url: str, ca: str | None, in_flight: int, providers: int = 1) -> Run:
    """``client.map``, with as many requests ahead as are in flight."""
    from llm_sync import ModelRequest

    client = llm_sync_client(url, ca, in_flight, providers)

    def run(count: int) -> None:
        requests = (ModelRequest(PROMPT, f"p{number % providers}/m") for number in range(count))
        for response in client.map(requests, window=2 * in_flight):
            len(response.text)

    return run


def llm_sync_calls(url: str, ca: str | None, in_flight: int) -> Run:
    """As many calling threads as requests in flight, each with a blocking call."""
    client, pool = llm_sync_client(url, ca, in_flight), ThreadPoolExecutor(in_flight)
    return lambda count: list(pool.map(lambda _: client.generate(PROMPT, "p0/m").text, range(count)))


def http_client_threads(url: str, ca: str | None, in_flight: int) -> Run:
    """http.client and json in as many threads."""
    import gzip
    import http.client
    from urllib.parse import urlsplit

    parts, local = urlsplit(url), threading.local()
    context = None if ca is None else ssl.create_default_context(cafile=ca)

    def call(_: int) -> str:
        conn = getattr(local, "conn", None)
        if conn is None:
            secure = context is not None
            conn = local.conn = (
                http.client.HTTPSConnection(parts.hostname, parts.port, context=context)
                if secure
                else http.client.HTTPConnection(parts.hostname, parts.port)
            )
        conn.request("POST", f"{parts.path}/chat/completions", payload(), HEADERS)
        response = conn.getresponse()
        body = response.read()
        return text_of(gzip.decompress(body) if response.headers.get("content-encoding") == "gzip" else body)

    pool = ThreadPoolExecutor(in_flight)
    return lambda count: list(pool.map(call, range(count)))


def tensorzero(url: str, ca: str | None, in_flight: int) -> Run:  # noqa: ARG001  (plain http only)
    """TensorZero's gateway, embedded, in as many threads."""
    from tensorzero import TensorZeroGateway

    os.environ["OPENAI_API_KEY"] = KEY
    provider = f'type="openai"\nmodel_name="m"\napi_base="{url}/"'
    text = f'[models.m]\nrouting=["x"]\n[models.m.providers.x]\n{provider}\n[gateway]\nobservability.enabled=false\n'
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"tensorzero-{os.getpid()}.toml"  # noqa: S108
    path.write_text(text)
    gateway = TensorZeroGateway.build_embedded(config_file=str(path))
    pool = ThreadPoolExecutor(in_flight)

    def call(_: int) -> str:
        answer: str = gateway.inference(model_name="m", input={"messages": MESSAGES}).content[0].text
        return answer

    return lambda count: list(pool.map(call, range(count)))


def in_tasks(in_flight: int, ask: Callable[[Any], Any], open_session: Callable[[], Any]) -> Run:
    """The asynchronous ways: as many tasks, which take from one iterator, on a loop that lasts."""
    import asyncio

    loop = asyncio.new_event_loop()

    async def opened() -> Any:
        return open_session()

    session = loop.run_until_complete(opened())

    async def run(count: int) -> None:
        calls = iter(range(count))

        async def work() -> None:
            for _ in calls:
                await ask(session)

        await asyncio.gather(*(work() for _ in range(in_flight)))

    return lambda count: loop.run_until_complete(run(count))


def aiohttp_by_hand(url: str, ca: str | None, in_flight: int) -> Run:
    """aiohttp and json, and nothing else."""
    import aiohttp

    async def ask(session: Any) -> str:
        async with session.post(f"{url}/chat/completions", data=payload(), headers=HEADERS) as response:
            return text_of(await response.read())

    def open_session() -> Any:
        context = True if ca is None else ssl.create_default_context(cafile=ca)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight, ssl=context))

    return in_tasks(in_flight, ask, open_session)


def httpx_async(url: str, ca: str | None, in_flight: int) -> Run:
    """httpx.AsyncClient and json. Its pool (httpcore's) looks at every connection for each request, which is most of its cost."""
    import httpx

    async def ask(client: Any) -> str:
        response = await client.post(f"{url}/chat/completions", content=payload(), headers=HEADERS)
        return text_of(response.content)

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    verify: Any = True if ca is None else ssl.create_default_context(cafile=ca)
    return in_tasks(in_flight, ask, lambda: httpx.AsyncClient(limits=limits, timeout=60, verify=verify))


def openai_async(url: str, ca: str | None, in_flight: int) -> Run:
    """AsyncOpenAI."""
    import openai

    async def ask(client: Any) -> str:
        answer = await client.chat.completions.create(model="m", messages=MESSAGES)
        text: str = answer.choices[0].message.content
        return text

    def open_client() -> Any:
        # Its own class, whichever release of httpx that is made of; it keeps 100 idle connections by default.
        options: Any = {} if ca is None else {"verify": ssl.create_default_context(cafile=ca)}
        return openai.AsyncOpenAI(api_key=KEY, base_url=url, http_client=openai.DefaultAsyncHttpxClient(**options))

    return in_tasks(in_flight, ask, open_client)


WAYS: dict[str, Callable[[str, str | None, int], Run]] = {
    "llm-sync map": llm_sync_map,
    "llm-sync map, 8 providers": lambda url, ca, in_flight: llm_sync_map(url, ca, in_flight, 8),
    "llm-sync, calling threads": llm_sync_calls,
    "http.client, threads": http_client_threads,
    "aiohttp": aiohttp_by_hand,
    "httpx.AsyncClient": httpx_async,
    "AsyncOpenAI": openai_async,
    "TensorZero embedded": tensorzero,
}


def memory_mb() -> float:
    """What the process has in memory."""
    with Path("/proc/self/statm").open() as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure one way."""
    way, url, ca, in_flight, calls, rounds = sys.argv[1:7]
    before = memory_mb()
    run = WAYS[way](url, ca if ca != "-" else None, int(in_flight))
    run(min(int(calls), 4 * int(in_flight)))
    walls, costs, most, threads = [], [], 0.0, 0
    for _ in range(int(rounds)):
        cpu, began = time.process_time(), time.perf_counter()
        run(int(calls))
        walls.append(time.perf_counter() - began)
        costs.append((time.process_time() - cpu) / int(calls) * 1e6)
        most, threads = max(most, memory_mb()), max(threads, threading.active_count())
    wall = statistics.median(walls)
    figures = {"calls_s": int(calls) / wall, "cpu_us": statistics.median(costs), "seconds": wall}
    print(json.dumps({**figures, "mb": most, "mb_before": before, "threads": threads}), flush=True)
    os._exit(0)  # some of them leave threads behind


if __name__ == "__main__":
    main()
