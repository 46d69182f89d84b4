"""A process that makes many requests to several providers with one client, and reports how long that took.

Runs in the environment of the way's package. Reads JSON from standard input, a line each: ``roots`` (where each provider is),
``each`` (how many requests it gets) and ``concurrency`` (how many of them at once). Each way is what its package offers for
many requests, with a thread for each provider where one call of it serves one provider only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import ways

Run = Callable[[int], int]  # makes so many requests to every provider and returns the number of answers


def http_client(roots: list[str], concurrency: int) -> Run:  # noqa: ARG001  (one root, one request at a time)
    """The time that a provider needs alone: one request after the other with http.client."""
    call = ways.http_client(ways.Place(roots[0], None, 1))
    return lambda each: sum(bool(call()) for _ in range(each))


def llm_sync(roots: list[str], concurrency: int) -> Run:
    """``generate_responses_concurrent``: one client, a provider for each root."""
    from llm_sync import ModelRequest

    names = [f"p{number}" for number in range(len(roots))]
    client = ways.llm_sync_client(ways.llm_sync_config(dict(zip(names, roots, strict=True)), concurrency))

    def run(each: int) -> int:
        requests = [ModelRequest(ways.PROMPT, f"{name}/{ways.MODEL}") for _ in range(each) for name in names]
        return sum(bool(response.text) for response in client.generate_responses_concurrent(requests))

    return run


def openai(roots: list[str], concurrency: int) -> Run:
    """A ThreadPoolExecutor over the openai SDK for each root."""
    from openai import OpenAI

    clients = {root: OpenAI(api_key=ways.KEY, base_url=f"{root}/v1") for root in roots}
    pools = {root: ThreadPoolExecutor(concurrency) for root in roots}

    def ask(root: str) -> bool:
        answer = clients[root].chat.completions.create(model=ways.MODEL, messages=ways.MESSAGES)
        return bool(answer.choices[0].message.content)

    def lane(root: str, each: int) -> int:
        return sum(pools[root].map(ask, [root] * each))

    return _in_lanes(roots, lane)


def litellm(roots: list[str], concurrency: int) -> Run:
    """``litellm.batch_completion``, which serves one model: a thread for each root."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    def lane(root: str, each: int) -> int:
        answers = litellm.batch_completion(
            model=f"openai/{ways.MODEL}",
            messages=[ways.MESSAGES] * each,
            api_key=ways.KEY,
            api_base=f"{root}/v1",
            max_workers=concurrency,
        )
        return sum(bool(answer.choices[0].message.content) for answer in answers)

    return _in_lanes(roots, lane)


def langchain_openai(roots: list[str], concurrency: int) -> Run:
    """``ChatOpenAI.batch``, likewise."""
    from langchain_openai import ChatOpenAI

    clients = {root: ChatOpenAI(model=ways.MODEL, api_key=ways.KEY, base_url=f"{root}/v1") for root in roots}

    def lane(root: str, each: int) -> int:
        answers = clients[root].batch([ways.PROMPT] * each, config={"max_concurrency": concurrency})
        return sum(bool(answer.content) for answer in answers)

    return _in_lanes(roots, lane)


def _in_lanes(roots: list[str], lane: Callable[[str, int], int]) -> Run:
    pool = ThreadPoolExecutor(len(roots))
    return lambda each: sum(pool.map(lane, roots, [each] * len(roots)))


CROWDS: dict[str, Callable[[list[str], int], Run]] = {
    "http.client": http_client,
    "llm-sync": llm_sync,
    "openai": openai,
    "litellm": litellm,
    "langchain-openai": langchain_openai,
}


def main() -> int:
    """Answer until standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("way", choices=CROWDS)
    way = parser.parse_args().way
    known: dict[tuple[tuple[str, ...], int], Run] = {}
    print("{}", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        key = (tuple(question["roots"]), question["concurrency"])
        if key not in known:
            known[key] = CROWDS[way](question["roots"], question["concurrency"])
            known[key](question["concurrency"])  # opens connections and starts threads
        wall, cpu = time.perf_counter(), time.process_time()
        answers = known[key](question["each"])
        cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "calls": answers}
        print(json.dumps(cost), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
