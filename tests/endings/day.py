"""A day in little: many requests against a server that fails in every way; all ends, and the counts add up."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from endings_apparatus import LASTING, TRANSIENT, Program, config_text

DAY = """
import collections, itertools
REQUESTS, EVERY = {requests}, {every}
client = LLMClient.from_config(CONFIG)

def figures():
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return {{"kib": memory, "threads": threading.active_count(), "fds": len(os.listdir("/proc/self/fd"))}}

def requests():
    with open(sys.argv[2]) as prompts:
        for number, text in enumerate(prompts):
            text = text.strip()
            yield ModelRequest(text, "ab"[number % 2] + "/m", id=text)

ends, wrong, samples = collections.Counter(), [], []
began = time.monotonic()
with open(sys.argv[2]) as prompts:
    for number, (text, end) in enumerate(zip(prompts, client.map(requests(), return_exceptions=True))):
        text = text.strip()
        if isinstance(end, Exception):
            ends[type(end).__name__] += 1
            if not text.endswith("!"):
                wrong.append((text, repr(end)[:200]))
        else:
            ends["done"] += 1
            if end.text != "echo " + text or end.id != text or text.endswith("!"):
                wrong.append((text, end.text))
        if number % EVERY == EVERY - 1:
            samples.append(figures())
took = time.monotonic() - began
status = client.status()
told = collections.Counter()
for each in status.values():
    told.update(each.failed)
    told["done"] += each.done
before = figures()
client.close()
say(json.dumps({{
    "seconds": took, "ends": ends, "told": told, "retries": sum(each.retries for each in status.values()), "wrong": wrong[:5],
    "pending": sum(each.queued + each.in_flight for each in status.values()), "samples": samples,
    "left": [thread.name for thread in threading.enumerate() if thread.name.startswith("llm-sync")],
}}))
"""


def prompts(count, share=0.05, seed=4):
    """So many prompts, a share of them asking for trouble, all kinds of it alike often."""
    chance = random.Random(seed)  # noqa: S311  (not a secret)
    kinds = TRANSIENT * 2 + [kind for kind in LASTING if kind not in ("silent!", "drip!")] + ["silent!", "drip!"] * (count > 5000)
    troubled = sorted(chance.sample(range(count), int(count * share)))
    what = dict(zip(troubled, (kinds[n % len(kinds)] for n in range(len(troubled))), strict=True))
    if count <= 5000:  # a time-out takes a while
        what.update(zip(troubled[:4], ["silent!", "drip!"] * 2, strict=False))
    return [f"n{n} {what[n]}" if n in what else f"n{n}" for n in range(count)]


def live_a_day(tmp_path, count, every):
    """Server and client in processes of their own; what the client found and what the server counted, held against each other."""
    asked = prompts(count)
    (tmp_path / "prompts").write_text("\n".join(asked))
    apparatus = Path(sys.modules["endings_apparatus"].__file__)
    server = subprocess.Popen(
        [sys.executable, str(apparatus)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin"}
    )
    running = None
    try:
        port = server.stdout.readline().strip()
        config = tmp_path / "config.yaml"
        settings = {"concurrency": 4, "timeout": 0.4, "max_retries": 2, "retry_cap": 0.01}
        config.write_text(config_text(f"http://127.0.0.1:{port}", **settings))
        running = Program(DAY.format(requests=count, every=every), str(config), str(tmp_path / "prompts"))
        assert running.finish(within=60 + count / 50) == 0, running.errors
        found = json.loads(running.lines[-1])
        counts = json.loads(server.communicate("", timeout=20)[0])
    finally:
        if running is not None:
            running.end()
        if server.poll() is None:
            server.kill()
            server.communicate()
    show(found, counts, count)
    assert found["wrong"] == []
    assert found["pending"] == 0
    assert found["left"] == []
    assert found["ends"] == found["told"]
    assert sum(found["ends"].values()) == count
    assert found["ends"]["done"] == sum(1 for text in asked if not text.endswith("!"))
    assert found["retries"] + count == counts["requests"]
    assert counts["trouble"] == []
    kinds = Counter(text.partition(" ")[2].rstrip("!") for text in asked)
    assert all(counts[kind] >= number for kind, number in kinds.items() if kind)
    return found


def show(found, counts, count):
    """The figures."""
    samples = found["samples"]
    print(f"\n{count} requests in {found['seconds']:.1f} s ({count / found['seconds']:.0f} a second); ends: {found['ends']}")
    print(f"retries {found['retries']}; the server saw {counts}")
    for name in ("kib", "threads", "fds"):
        values = [sample[name] for sample in samples]
        print(f"{name}: {' '.join(map(str, values))}")
