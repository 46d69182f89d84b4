#!/usr/bin/env python3
"""The cost of a batch by its length: memory, time per request compared with bare Session.post calls, time to resume.

Lines are 1 KB. Against the far end each request is really sent; 100,000 and 1,000,000 are also run with a provider that
answers at once without a wire, which shows the batch alone. Each run is a process of its own, so that its peak of memory is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring

LINE = 1024  # bytes of a prompt
ANSWER = 1024  # bytes of an answer over the wire


def write_input(path: Path, lines: int) -> None:
    """``count`` different lines."""
    filler = "x" * (LINE - 60)
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            file.write(f'{{"prompt": "request {number:08d} {filler}", "model": "far/m"}}\n')


def batch(folder: str, root: str | None, stop_at: int | None) -> dict[str, Any]:
    """Run the batch in ``folder``. ``root``: the server (None: no network); ``stop_at``: interrupt it after so many outcomes."""
    from datetime import datetime, timezone

    from llm_sync import LLMClient, ModelResponse, ProviderFactory, Usage
    from llm_sync.batch import Snapshot, run
    from llm_sync.config import ConfigLoader

    first: list[float] = []
    when = datetime.now(timezone.utc)

    class Stub(ProviderFactory.provider_class("openai")):  # type: ignore[misc]
        """An HTTP client that answers at once, without a network."""

        def send(self, prepared: Any, _: Any = None) -> Any:
            """The same response to every request."""
            if not first:
                first.append(time.perf_counter())
            return ModelResponse("an answer", "m", self.name, "stop", Usage(200, 50), when, 1.0, id=prepared.request.id)

    ProviderFactory.register("stub", Stub)
    kind, url = ("stub", "http://127.0.0.1:9") if root is None else ("openai", f"{root}/{ANSWER}/0/v1")
    text = f"providers: {{far: {{type: {kind}, api_key: k, base_url: '{url}', models: [m]}}}}"

    def watch(snapshot: Snapshot) -> None:
        if stop_at is not None and snapshot.done >= stop_at:
            raise KeyboardInterrupt

    began, cpu = time.perf_counter(), time.process_time()
    done = 0
    config = ConfigLoader(known_types=lambda _: [kind]).load_text(text)
    with LLMClient(config) as client, contextlib.suppress(KeyboardInterrupt):
        done = run(f"{folder}/in.jsonl", f"{folder}/out.jsonl", client, progress=watch).tally.answered
    return {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": measuring.peak_mb(),
        "answered": done,
        "first_request_s": first[0] - began if first else None,
    }


def posts(root: str, calls: int) -> dict[str, Any]:
    """Send the same bodies with ``Session.post(json=…).json()``, one after the other."""
    import requests

    filler = "x" * (LINE - 60)
    session, url = requests.Session(), f"{root}/{ANSWER}/0/v1/chat/completions"
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(calls):
        message = {"role": "user", "content": f"request {number:08d} {filler}"}
        session.post(url, json={"model": "m", "messages": [message]}, timeout=60).json()
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def child(**question: Any) -> dict[str, Any]:
    """Make one measurement in a separate process."""
    command = [sys.executable, __file__, "--child", json.dumps(question)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr[-3000:])
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def measured(sizes: tuple[int, int], wire: int, calls: int) -> dict[str, Any]:
    """Make all measurements. ``sizes``: lines without a network; ``wire``: lines over it; ``calls``: posts to compare with."""
    rows: list[dict[str, Any]] = []
    resume: dict[str, Any] = {}
    with measuring.far_end() as places, tempfile.TemporaryDirectory() as folder:
        root = places["plain"]
        write_input(Path(folder, "in.jsonl"), wire)
        halves = [child(do="posts", root=root, calls=calls)]  # before and after, because other processes use the machine, too
        found = child(do="batch", folder=folder, root=root)
        halves.append(child(do="posts", root=root, calls=calls))
        for what in ("wall", "cpu"):
            found[f"{what}_ratio"] = found[what] / wire / (sum(half[what] for half in halves) / (2 * calls))
        rows.append({"lines": wire, "wire": True, **found})
        Path(folder, "out.jsonl").unlink()
        for lines in sizes:
            write_input(Path(folder, "in.jsonl"), lines)
            if lines == max(sizes):  # interrupted after 90 %, and resumed
                child(do="batch", folder=folder, stop_at=lines * 9 // 10)
                resume = {"lines": lines, **child(do="batch", folder=folder)}
                Path(folder, "out.jsonl").unlink()
            rows.append({"lines": lines, "wire": False, **child(do="batch", folder=folder)})
            Path(folder, "out.jsonl").unlink()
    return {"rows": rows, "resume": resume}


def bounds(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The limits, and whether they are met."""
    bare = [row for row in found["rows"] if not row["wire"]]
    peaks = [row["peak_mb"] for row in found["rows"]] + [found["resume"]["peak_mb"]]
    return [
        measuring.bound("memory, MB, at most", max(peaks), 120),
        measuring.bound("memory of the longest over the shorter", bare[-1]["peak_mb"] / bare[0]["peak_mb"], 1.1),
        measuring.bound("seconds to the first request of a resumed run", found["resume"]["first_request_s"], 60),
    ]


def show(found: dict[str, Any]) -> None:
    """The tables."""
    rows = [
        [
            f"{row['lines']:,} lines{', over the wire' if row['wire'] else ''}",
            f"{row['peak_mb']:.1f}",
            f"{row['wall'] / row['lines'] * 1e6:.0f}",
            f"{row['cpu'] / row['lines'] * 1e6:.0f}",
            f"{row['wall_ratio']:.2f} / {row['cpu_ratio']:.2f}" if row["wire"] else "",
        ]
        for row in found["rows"]
    ]
    measuring.table(["", "peak MB", "wall µs each", "CPU µs each", "× Session.post: wall / CPU"], rows)
    resume = found["resume"]
    print(
        f"{resume['lines']:,} lines, nine tenths of them done: the first request after {resume['first_request_s']:.1f} s, "
        f"the whole in {resume['wall']:.1f} s, {resume['peak_mb']:.1f} MB\n"
    )


def main() -> int:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the lengths; nothing is written")
    options = parser.parse_args()
    if options.child:
        question = json.loads(options.child)
        if question.pop("do") == "posts":
            print(json.dumps(posts(**question)))
        else:
            print(json.dumps(batch(question["folder"], question.get("root"), question.get("stop_at"))))
        return 0
    shrink = 100 if options.quick else 1
    found = measured((100_000 // shrink, 1_000_000 // shrink), 100_000 // shrink, 20_000 // shrink)
    show(found)
    checks = bounds(found)
    measuring.show_bounds(checks)
    if not options.quick:
        measuring.write("batch-scale", {"facts": measuring.facts(), **found, "bounds": checks})
    return 0 if all(check["met"] for check in checks) else 1


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    raise SystemExit(main())
