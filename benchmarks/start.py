#!/usr/bin/env python3
"""The cost of starting: commands, imports and one answer from a cold start, as multiples of `python -c pass`.

Each case runs in a process of its own, in turn with the others. CPU is user and system time of the process and its
children. A ratio is taken in each round and its median told, with the quartiles in brackets.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
import ways

BASE = "python -c pass"
BARE = "requests, yaml: Session().post(…)"
GENERATE = "llm-sync generate"


class Case(NamedTuple):
    """A command and its package; ``code`` runs in that package's Python instead."""

    name: str
    package: str | None
    code: str = ""
    command: tuple[str, ...] = ()


def cases(root: str, config: str) -> list[Case]:
    """The commands; the base of the comparison comes first."""
    url, key, prompt, messages = f"{root}/v1/chat/completions", ways.KEY, ways.PROMPT, ways.MESSAGES
    bare = (
        "import requests, yaml\n"
        f"session, headers = requests.Session(), {{'Authorization': 'Bearer {key}'}}\n"
        f"answer = session.post({url!r}, json={ways.PAYLOAD!r}, headers=headers, timeout=60)\n"
        "print(answer.json()['choices'][0]['message']['content'])"
    )
    ask = f"chat.completions.create(model='m', messages={messages!r}).choices[0].message.content)"
    return [
        Case(BASE, None, "pass"),
        Case("import llm_sync", None, "import llm_sync"),
        Case("llm-sync --version", None, command=("llm-sync", "--version")),
        Case("python -m llm_sync --version", None, command=("python", "-m", "llm_sync", "--version")),
        Case("llm-sync --help", None, command=("llm-sync", "--help")),
        Case("a configuration loaded and checked", None, f"import llm_sync; llm_sync.ConfigLoader().load_config({config!r})"),
        Case("import requests", None, "import requests"),
        Case(BARE, None, bare),
        Case(GENERATE, None, command=("llm-sync", "generate", "--config", config, prompt)),
        Case("llm_sync.generate(…)", None, f"import llm_sync; print(llm_sync.generate({prompt!r}, config={config!r}).text)"),
        Case("import openai", "openai", "import openai"),
        Case(
            "openai: one answer",
            "openai",
            f"import openai; print(openai.OpenAI(api_key={key!r}, base_url={root + '/v1'!r}).{ask}",
        ),
        Case("import anthropic", "anthropic", "import anthropic"),
        Case("import google.genai", "google-genai", "from google import genai"),
        Case("import aisuite", "aisuite", "import aisuite"),
        Case("import langchain_openai", "langchain-openai", "import langchain_openai"),
        Case("import litellm", "litellm", "import litellm"),
        Case("import any_llm", "any-llm-sdk", "import any_llm"),
        Case("llm --version", "llm", command=("llm", "--version")),
        Case("llm --help", "llm", command=("llm", "--help")),
    ]


def command_of(case: Case) -> list[str] | None:
    """The command line; None if the package is not installed."""
    python = sys.executable if case.package is None else measuring.python_of(case.package)
    if python is None:
        return None
    if case.code:
        return [python, "-c", case.code]
    scripts = Path(sysconfig.get_path("scripts")) if case.package is None else Path(python).parent
    name, *rest = case.command
    return [str(scripts / name), *rest]


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds of one run, outside the checkout, whose llm_sync is not the installed one."""
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LLM_USER_PATH": tempfile.gettempdir()}
    with subprocess.Popen(
        command, cwd=sys.prefix, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}:\n{said.decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime


def measure(commands: dict[str, list[str]], runs: Callable[[str], int]) -> dict[str, list[tuple[float, float]]]:
    """The CPU seconds of the runs of every case, and of the base in the same round."""
    for command in commands.values():
        cpu_seconds(command)  # warms up the system's caches
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(max(map(runs, commands))):
        base = cpu_seconds(commands[BASE])
        for name, command in commands.items():
            if number < runs(name):
                times[name].append((base if name == BASE else cpu_seconds(command), base))
    return times


def bounds(times: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    """The limits, and whether they are met."""
    ratio = {name: measuring.summary([own / base for own, base in pairs])["median"] for name, pairs in times.items()}
    checks = [
        measuring.bound(f"{name} over {BASE}", ratio[name], most)
        for name, most in (("llm-sync --version", 1.3), ("import llm_sync", 1.1), ("llm-sync --help", 3.0))
    ]
    one_shot = [own / bare for (own, _), (bare, _) in zip(times[GENERATE], times[BARE], strict=True)]
    return [*checks, measuring.bound(f"{GENERATE} over {BARE}", measuring.summary(one_shot)["median"], 1.4)]


def main() -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="how often each case runs, the peers' a fifth as often (20)")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a bound is broken")
    options = parser.parse_args()
    facts = measuring.facts()
    with measuring.far_end() as places, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "loopback.yaml")
        config.write_text(_CONFIG.format(root=places["plain"], key=ways.KEY))
        wanted = {case.name: (case, command_of(case)) for case in cases(f"{places['plain']}/1024/0", str(config))}
        present = {name: command for name, (_, command) in wanted.items() if command is not None}
        times = measure(present, lambda name: max(3, options.runs // 5) if wanted[name][0].package else options.runs)
    rows: list[dict[str, Any]] = []
    shown = []
    for name in wanted:
        if name not in times:
            rows.append({"case": name, "failed": "absent"})
            shown.append([name, "absent: make bench-peers", ""])
            continue
        ratio = measuring.rounded(measuring.summary([own / base for own, base in times[name]]))
        cpu = measuring.rounded(measuring.summary([own * 1000 for own, _ in times[name]]))
        rows.append({"case": name, "ratio": ratio, "cpu_ms": cpu, "runs": len(times[name])})
        shown.append([name, measuring.spread(ratio), measuring.spread(cpu, 1)])
    measuring.table(["", f"CPU × {BASE}", "CPU ms"], shown)
    checks = bounds(times)
    measuring.show_bounds(checks)
    measuring.write("start", {**facts, "rows": rows, "bounds": checks})
    return int(options.check and not all(check["met"] for check in checks))


_CONFIG = """\
defaults: {{model: loopback/m}}
providers:
  loopback:
    type: openai
    api_key: {key}
    base_url: {root}/1024/0/v1
    models: [m]
"""

if __name__ == "__main__":
    sys.exit(main())
