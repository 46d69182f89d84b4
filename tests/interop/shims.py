"""The scripts beside this file, run with the real packages and through ``llm-sync run-script``: what they print is equal.

``make interop-shims`` calls it with an environment for each package, in which llm-sync is installed too. Against one
simulator it runs every script twice, compares output and exit status, holds the shims' parameters against the packages'
own, and what importing and making a client costs against what the package's costs. ``--write`` puts the table of results
into a page, between the marks it has for it. Ends with status 1 when something is not as it should be.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from llm_sync.compat.anthropic import parameters as of_anthropic
from llm_sync.compat.litellm import parameters as of_litellm
from llm_sync.compat.openai import parameters as of_openai
from llm_sync.simulator import RequestRecord, Response, Simulator

SCRIPTS = Path(__file__).with_name("scripts")
KEY = "sk-simulated-0123456789"
BEGIN, END = "<!-- results: made by make interop-shims -->", "<!-- end of results -->"
KINDS = ("openai_0_28", "openai", "anthropic", "litellm")  # a script's name begins with one of them
PACKAGES = {"openai_0_28": "openai", "openai": "openai", "anthropic": "anthropic", "litellm": "litellm"}
SLOW_S, RATIO = 3.0, 0.2
ERROR_TYPES = {429: "rate_limit_error", 503: "overloaded_error"}

# The parameters of each original's own calls, as the package tells them.
SIGNATURES = {
    "openai": (
        """import openai; client = openai.OpenAI(api_key='k')
azure = openai.AzureOpenAI(api_key='k', api_version='v', azure_endpoint='https://a.example')""",
        {
            "openai.OpenAI": of_openai.CLIENT,
            "openai.AzureOpenAI": of_openai.AZURE,
            "azure.with_options": of_openai.AZURE_WITH_OPTIONS,
            "client.with_options": of_openai.WITH_OPTIONS,
            "client.chat.completions.create": of_openai.CHAT,
            "client.completions.create": of_openai.COMPLETIONS,
            "client.responses.create": of_openai.RESPONSES,
            "client.embeddings.create": of_openai.EMBEDDINGS,
            "client.models.list": of_openai.LISTING,
        },
    ),
    "openai_0_28": ("import openai", {"openai.Model.list": of_openai.LEGACY_LISTING}),
    "anthropic": (
        "import anthropic; client = anthropic.Anthropic(api_key='k')",
        {
            "anthropic.Anthropic": of_anthropic.CLIENT,
            "client.with_options": of_anthropic.WITH_OPTIONS,
            "client.messages.create": of_anthropic.MESSAGES,
            "client.models.list": of_anthropic.LISTING,
        },
    ),
    "litellm": (
        "import litellm",
        {"litellm.completion": of_litellm.COMPLETION, "litellm.batch_completion": of_litellm.BATCH},
    ),
}
CLIENTS = {
    "openai": ("import openai; openai.OpenAI(api_key='k')", "from llm_sync.compat import openai; openai.OpenAI(api_key='k')"),
    "anthropic": (
        "import anthropic; anthropic.Anthropic(api_key='k')",
        "from llm_sync.compat import anthropic; anthropic.Anthropic(api_key='k')",
    ),
    "litellm": ("import litellm", "from llm_sync.compat import litellm"),
}


def judge() -> Any:
    """What the simulator says to models that stand for a failure, and to those that answer oddly."""
    flaky: list[int] = []

    def answer(record: RequestRecord) -> Response | None:
        model = record.model or ""
        if model.startswith("status-"):
            return failure(record.dialect, int(model.removeprefix("status-")))
        if model == "flaky" and not flaky:
            flaky.append(1)
            return failure(record.dialect, 500)
        if model == "refusing":
            return chat(None, "stop", refusal="I will not")
        if model == "filtered":
            return chat("half of it", "content_filter")
        return chat("", "stop") if model == "empty" else None

    return answer


def failure(dialect: str, status: int) -> Response:
    """An error of this status in the dialect's shape."""
    message, named = f"simulated {status}", "request-id" if dialect == "anthropic" else "x-request-id"
    headers = (("content-type", "application/json"), (named, "req_1"), ("retry-after", "0"))
    if dialect == "anthropic":
        kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return Response(status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}, headers)
    kind, code = ("server_error", None) if status >= 500 else ("invalid_request_error", "it_is")
    if status == 429:
        kind, code = "requests", "rate_limit_exceeded"
    return Response(status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, headers)


def chat(text: str | None, finish: str, **message: Any) -> Response:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish, "logprobs": None}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return Response(200, body)


class Environment:
    """A virtual environment with an original and llm-sync in it."""

    def __init__(self, kind: str, folder: Path, simulator: Simulator, home: Path) -> None:
        self.kind = kind
        self.python = folder.absolute() / "bin" / "python"
        self._home = home
        self._environ = {
            "PATH": f"{folder.absolute() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(home),
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": simulator.url("openai"),
            "OPENAI_API_BASE": simulator.url("openai"),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": simulator.url("anthropic"),
            "ANTHROPIC_API_BASE": simulator.url("anthropic"),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "CRITICAL",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return subprocess.run(words, env=self._environ, cwd=self._home, capture_output=True, text=True, timeout=180, check=False)

    def code(self, text: str) -> str:
        """What Python code prints; it must not fail."""
        done = self.run(str(self.python), "-c", text)
        if done.returncode:
            raise SystemExit(f"{self.kind}: {done.stderr}")
        return done.stdout

    def version(self) -> str:
        """The original's version."""
        name = PACKAGES[self.kind]
        return f"{name} {self.code(f'from importlib.metadata import version; print(version({name!r}))').strip()}"

    def cpu(self, text: str, runs: int = 5) -> float:
        """The least CPU seconds of a process that runs this code."""
        times = []
        for _ in range(runs):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.code(text)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(times)


def compare(environment: Environment, script: Path) -> str | None:
    """The difference between the two ways to run a script; None for none."""
    real = environment.run(str(environment.python), str(script))
    map_error = environment.run(str(environment.python), "-m", "llm_sync", "run-script", str(script))
    if real.returncode:
        return f"the real package ends with status {real.returncode}:\n{real.stderr[-3000:]}"
    if (real.stdout, real.returncode) == (map_error.stdout, map_error.returncode):
        return None
    lines = difflib.unified_diff(real.stdout.splitlines(), map_error.stdout.splitlines(), "real", "run-script", lineterm="", n=0)
    return "\n".join([*lines, map_error.stderr[-3000:]])


def unknown_parameters(environment: Environment) -> list[str]:
    """Parameters of the package's own calls that the shim's tables do not have."""
    setup, calls = SIGNATURES[environment.kind]
    found = []
    for call, table in calls.items():
        told = f"import inspect, json; print(json.dumps(list(inspect.signature({call}).parameters)))"
        names = json.loads(environment.code(f"{setup}\n{told}").splitlines()[-1])
        found += [f"{call}({name}=)" for name in names if name not in table and name not in ("kwargs", "params")]
    return found


def loaded(environment: Environment, script: Path) -> str | None:
    """What of the real package, or of an event loop, a script under run-script loads."""
    probe = script.with_name("probe.py")
    probe.write_text(
        f"exec(compile(open({str(script)!r}).read(), 'x', 'exec'))\n"
        "import sys\n"
        f"module = sys.modules[{PACKAGES[environment.kind]!r}]\n"
        "wrong = [name for name in ('asyncio', 'httpx', 'httpx2', 'pydantic', 'aiohttp') if name in sys.modules]\n"
        "print(wrong, module.__name__)\n"
    )
    done = environment.run(str(environment.python), "-m", "llm_sync", "run-script", str(probe))
    said = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    return None if said == f"[] llm_sync.compat.{PACKAGES[environment.kind]}" else said


def kind_of(script: Path) -> str:
    """Which package a script is written for."""
    return next(kind for kind in KINDS if script.stem.startswith(kind))


def title(script: Path) -> str:
    """The first line of a script's docstring."""
    return script.read_text("utf-8").partition('"""')[2].partition('"""')[0].strip().rstrip(".")


def table(versions: dict[str, str], results: dict[Path, str | None]) -> str:
    """The results for the page."""
    lines = ["| written for | the script | through run-script |", "|---|---|---|"]
    for script, wrong in results.items():
        lines.append(f"| {versions[kind_of(script)]} | {title(script)} | {'equal' if wrong is None else 'different'} |")
    return "\n".join(lines)


def write(page: Path, text: str) -> None:
    """Put ``text`` between the page's marks."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def main() -> int:
    """Run everything, say what is not as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--environment", action="append", required=True, metavar="KIND=FOLDER")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--only", default="", metavar="WORD", help="scripts with WORD in their names")
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as home, Simulator(on_request=judge()) as simulator, simulator.hold(is_slow) as hold:
        folders = dict(word.split("=", 1) for word in args.environment)
        environments = {kind: Environment(kind, Path(folder), simulator, Path(home)) for kind, folder in folders.items()}
        versions = {kind: environment.version() for kind, environment in environments.items()}
        results: dict[Path, str | None] = {}
        for script in sorted(SCRIPTS.glob("*.py"), key=lambda path: (KINDS.index(kind_of(path)), path.stem)):
            if args.only not in script.stem or kind_of(script) not in environments:
                continue
            results[script] = compare(environments[kind_of(script)], script)
            said = "different" if results[script] else "equal    "
            print(f"{said}  {versions[kind_of(script)]:20} {title(script)}", flush=True)
            if results[script]:
                failed = True
                print(results[script])
        if not args.only:
            for environment in environments.values():
                failed |= not look_around(environment, Path(home))
        hold.close()
        if simulator.faults:
            raise SystemExit(f"the simulator failed: {simulator.faults}")
        print(f"{sum(wrong is None for wrong in results.values())} of {len(results)} scripts are equal")
    if args.write and not args.only:
        write(args.write, table(versions, results))
    return int(failed)


def look_around(environment: Environment, home: Path) -> bool:
    """Everything about a package that is not in what its scripts print; whether it is as it should be."""
    good = True
    unknown = unknown_parameters(environment)
    if unknown:
        good = False
        print(f"{environment.kind}: parameters that docs and shim do not know: {', '.join(unknown)}")
    plain = home / "plain.py"
    plain.write_text(next(SCRIPTS.glob(f"{environment.kind}_plain.py")).read_text("utf-8"))
    wrong = loaded(environment, plain)
    if wrong:
        good = False
        print(f"{environment.kind}: under run-script there is loaded: {wrong}")
    if environment.kind in CLIENTS:
        real, map_error = (environment.cpu(text) for text in CLIENTS[environment.kind])
        print(f"{environment.kind}: import and client take {map_error * 1000:.0f} ms of CPU, the real one's {real * 1000:.0f} ms")
        good &= map_error <= real * RATIO
    return good


def is_slow(record: RequestRecord) -> bool:
    """Whether a request is held until the client gives up."""
    return record.model == "slow"


if __name__ == "__main__":
    sys.exit(main())
