"""What the benchmarks share: server, calling processes, interleaving, statistics, tables, JSON.

Why not pyperf: it measures wall time, one benchmark after another. Here everything is a ratio of CPU times, and of two
things measured minutes apart the ratio says mostly what else the machine did meanwhile. So every case makes a short block
of work in turn, round after round; a ratio is taken within each round; the median of the rounds is told, with the quartiles.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ENVIRONMENTS = HERE.parent / ".venvs"
PEERS = (
    "openai",
    "anthropic",
    "google-genai",
    "aisuite",
    "langchain-openai",
    "litellm",
    "any-llm-sdk",
    "httpx",
    "llm",
    "aiohttp",
    "tensorzero",
)


def python_of(package: str) -> str | None:
    """The Python in whose environment ``package`` is installed: this one, or the package's own; None if there is none."""
    if package not in PEERS:
        return sys.executable
    python = ENVIRONMENTS / f"peer-{package}" / "bin" / "python"
    return str(python) if (python.parent.parent / ".installed").exists() else None


class Child:
    """A process that answers requests, one line of JSON each."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            command, cwd=sys.prefix, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        self.first: dict[str, Any] = self._answer()

    def ask(self, **question: object) -> dict[str, Any]:
        """Send one line and return the answer."""
        assert self._process.stdin  # noqa: S101
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            said = self._said.read().decode(errors="replace")[-3000:]
            raise SystemExit(f"{' '.join(map(str, self._process.args))} ended:\n{said}")  # type: ignore[arg-type]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End the process."""
        with self._process as process:  # closes its input, and waits
            assert process.stdin  # noqa: S101
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
        self._said.close()


@contextlib.contextmanager
def far_end(*, tls: bool = False) -> Iterator[dict[str, str]]:
    """The server's URLs: ``plain``, and with ``tls`` also ``tls`` and the file ``ca`` that its certificate is from."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "far_end.py")]
        places = {}
        if tls:
            import trustme

            authority = trustme.CA()
            certificate, places["ca"] = f"{folder}/server.pem", f"{folder}/ca.pem"
            authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
            authority.cert_pem.write_to_path(places["ca"])
            command += ["--certificate", certificate]
        server = Child(command)
        try:
            yield {**places, **server.first}
        finally:
            server.end()


def interleaved(callers: Mapping[str, Child], *, rounds: int, block_s: float) -> dict[str, list[dict[str, float]]]:
    """The blocks of each caller, one per round; the calls of a block take about ``block_s`` seconds of CPU."""
    sizes = {}
    for name, child in callers.items():
        child.ask(calls=32)  # warms up caches
        first = child.ask(calls=64)
        sizes[name] = max(16, int(block_s / max(first["cpu"] / first["calls"], 1e-6)))
    blocks: dict[str, list[dict[str, float]]] = {name: [] for name in callers}
    for number in range(rounds):
        order = list(callers)[:: -1 if number % 2 else 1]  # so that none always follows the same one
        for name in order:
            blocks[name].append(callers[name].ask(calls=sizes[name]))
    return blocks


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def rounded(figures: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """The figures rounded to so many significant digits."""
    return {name: float(f"{value:.{digits}g}") for name, value in figures.items()}


def ratios(blocks: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], what: str = "cpu") -> dict[str, float]:
    """The cost of a call as a multiple of the base's, computed within each round."""
    return rounded(summary([(b[what] / b["calls"]) / (a[what] / a["calls"]) for b, a in zip(blocks, base, strict=True)]))


def per_call(blocks: Sequence[Mapping[str, float]], what: str) -> dict[str, float]:
    """Microseconds per call."""
    return rounded(summary([block[what] / block["calls"] * 1e6 for block in blocks]))


def spread(figures: Mapping[str, float] | None, digits: int = 2) -> str:
    """``3.61 (3.55-3.70)``: a median and its quartiles, for a table."""
    if figures is None:
        return "absent"
    return f"{figures['median']:.{digits}f} ({figures['low']:.{digits}f}-{figures['high']:.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print ``rows`` in columns."""
    texts = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        print(
            "  ".join(
                text.ljust(width) if column == 0 else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    print(flush=True)


def bound(what: str, measured: float, most: float) -> dict[str, Any]:
    """Whether a figure is within its limit."""
    return {"what": what, "measured": float(f"{measured:.4g}"), "at_most": most, "met": measured <= most}


def show_bounds(checks: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of limits."""
    if checks:
        rows = [[c["what"], f"{c['measured']:.3g}", f"{c['at_most']:g}", "met" if c["met"] else "MISSED"] for c in checks]
        table(["what must hold", "measured", "at most", ""], rows)


def peak_mb() -> float:
    """The maximum memory that this process has used.

    Linux hands the figure of getrusage on to children, across the exec: one that a large process started would tell of that.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def facts() -> dict[str, Any]:
    """Where and when it was measured."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "llm_sync": version("llm-sync"),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "environment_variables": len(os.environ),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Write ``results/name.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written: {os.path.relpath(path)}")
