"""Another process changes the journal, the input and the output folder of a running batch, at random.

Whatever it does: status 0 only with each request's own record, and no answer that came is lost or asked for again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Far

from llm_sync.batch.input.requests import line_hash
from llm_sync.simulator import Response, Simulator

LINES = 80
CONFIG = 'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], concurrency: 3}}\n'


class Sabotage:
    """One folder with a batch, and what another program does in it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.chance = chance
        self.input = folder / "in.txt"
        self.output = folder / "out.jsonl"
        self.part = folder / "out.jsonl.part"
        self.new = folder / "out.jsonl.part.new"
        self.replaced = folder / "out.jsonl.replaced"
        self.versions: list[list[str]] = []

    def write_input(self, lines: list[str]) -> None:
        """Save the input in place, as an editor does."""
        self.versions.append(lines)
        self.input.write_text("".join(f"{line}\n" for line in lines))

    def act(self) -> str:
        """One random change, and its name."""
        name = self.chance.choice([name for name in dir(self) if name.startswith("do_")])
        with contextlib.suppress(OSError):  # there is no such file at the moment
            getattr(self, name)()
        return name

    def _edit(self, path: Path, change: Callable[[bytes, int], bytes]) -> None:
        """Change a file in place, at a random position."""
        with path.open("r+b") as file:
            content = file.read()
            changed = change(content, self.chance.randrange(len(content) + 1))
            file.seek(0)
            file.write(changed)
            file.truncate()

    def _append(self, path: Path, content: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(content)

    def do_append_noise(self) -> None:
        """Bytes of anything."""
        self._append(self.part, self.chance.choice([b"\n", b"x", b"\0" * 40, b'{"done": [', b"\r\n\r\n"]))

    def do_append_known_lines(self) -> None:
        """Lines that are there, as rescued ones would be, added early."""
        lines = self.part.read_bytes().splitlines(keepends=True)
        first = self.chance.randrange(len(lines))
        self._append(self.part, b"".join(lines[first : first + 9]))

    def do_append_half_a_line(self) -> None:
        """As a copy that is still under way."""
        line = self.chance.choice(self.part.read_bytes().splitlines(keepends=True))
        self._append(self.part, line[: self.chance.randrange(len(line))])

    def do_truncate(self) -> None:
        """To any size."""
        os.truncate(self.part, self.chance.randrange(self.part.stat().st_size + 1))

    def do_cut(self) -> None:
        """A few bytes, out of the middle."""
        self._edit(self.part, lambda content, at: content[:at] + content[at + self.chance.randrange(1, 3000) :])

    def do_insert(self) -> None:
        """A few bytes, into the middle."""
        self._edit(self.part, lambda content, at: content[:at] + b"#" * self.chance.randrange(1, 300) + content[at:])

    def do_overwrite(self) -> None:
        """A few bytes, so that the size stays."""
        self._edit(self.part, lambda content, at: content[:at] + b"#" * min(30, len(content) - at) + content[at + 30 :])

    def do_delete(self) -> None:
        """The journal."""
        self.part.unlink()

    def do_rename(self) -> None:
        """The journal, away."""
        os.replace(self.part, self.part.with_name("elsewhere"))

    def do_replace(self) -> None:
        """The journal, by a copy of itself."""
        copy = self.part.with_name("copy")
        copy.write_bytes(self.part.read_bytes())
        os.replace(copy, self.part)

    def do_insert_a_line(self) -> None:
        """At the top of the input."""
        self.write_input([f"a new question {self.chance.random()}", *self.versions[-1]])

    def do_change_a_line(self) -> None:
        """Of the input."""
        lines = list(self.versions[-1])
        lines[self.chance.randrange(len(lines))] = f"another question {self.chance.random()}"
        self.write_input(lines)

    def do_remove_lines(self) -> None:
        """From the end of the input."""
        self.write_input(self.versions[-1][: self.chance.randrange(LINES // 2, LINES)])

    def do_put_an_output_there(self) -> None:
        """Or change the one that is there."""
        self.output.write_bytes(b'{"not": "ours"}\n')

    def do_damage_the_output(self) -> None:
        """That a previous run has made."""
        self._edit(self.output, lambda content, at: content[:at] + b"#" + content[at + 2 :])

    def do_delete_the_output(self) -> None:
        """That a previous run has made."""
        self.output.unlink()

    def do_write_the_new_output(self) -> None:
        """Where the run will write it."""
        self.new.write_bytes(b"something else\n")

    def do_write_what_was_replaced(self) -> None:
        """Half a line of it."""
        self.replaced.write_bytes(b'{"half')


class Run:
    """``llm-sync batch`` on one folder, with the server that it asks."""

    def __init__(self, folder: Path, simulator: Simulator, far: Far, seed: int) -> None:
        self.folder = folder
        self.far = far
        self.chance = random.Random(seed)  # noqa: S311  (not a secret)
        self.sabotage = Sabotage(folder, self.chance)
        self.done: list[str] = []
        (folder / "llms.yaml").write_text(CONFIG.replace("<openai>", simulator.url("openai")))
        (folder / "tmp").mkdir()
        self.sabotage.write_input([f"question {number}" for number in range(LINES)])

    def stopped(self, process: subprocess.Popen[str]) -> None:
        """Press Ctrl-C, in some runs."""
        if self.chance.random() < 0.3:
            time.sleep(self.chance.random() / 3)
            process.send_signal(signal.SIGINT)
            self.done.append("Ctrl-C")

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The process."""
        command = [sys.executable, "-m", "llm_sync", "batch", "--config", "./llms.yaml", "--text", "in.txt", "-o", "out.jsonl"]
        return subprocess.Popen(
            [*command, *options],
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finished(self, process: subprocess.Popen[str]) -> bool:
        """Whether it ended with status 0, and then with a right output. Otherwise do what its message says."""
        _, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            self.check_output()
            return True
        assert "Traceback" not in errors, (self.done, errors)
        rescued = re.search(r"'([^']*llm-sync-rescued-[^']*)'", errors)
        if rescued is not None:
            content = Path(rescued[1]).read_bytes()
            with self.sabotage.part.open("ab" if "cat " in errors else "wb") as file:
                file.write(content)
        if self.sabotage.output.exists() and ("not replaced" in errors or "output of a batch" in errors or "damaged" in errors):
            self.sabotage.output.unlink()
        self.done.append((errors.strip().splitlines() or ["(nothing)"])[-1][-300:])
        return False

    def check_output(self) -> None:
        """Each request's own record, of one version of the input."""
        records = [json.loads(line) for line in self.sabotage.output.read_text().splitlines()]
        assert [record["index"] for record in records] == list(range(len(records))), self.done
        prompts = [record["response"]["text"].removeprefix("echo ") for record in records]
        assert prompts in self.sabotage.versions, (self.done, prompts)
        assert [record["line_hash"] for record in records] == [line_hash(prompt.encode()) for prompt in prompts], self.done

    def answered_before(self) -> None:
        """Have an output that the run extends, in some runs."""
        if self.chance.random() < 0.4:
            process = self.start("--limit", str(LINES // 4))
            process.communicate(timeout=60)
            assert process.returncode == 0

    def disturbed(self) -> subprocess.Popen[str]:
        """A run, with one to three changes when it is somewhere in its middle."""
        at = len(self.far.asked) + self.chance.randrange(1, LINES // 2)
        self.far.allow(at + 8)  # it goes on meanwhile, but not to its end
        process = self.start()
        assert self.far.wait(at), (self.done, process.communicate())
        self.done += [self.sabotage.act() for _ in range(self.chance.choice([1, 1, 2, 3]))]
        self.far.allow(None)
        self.stopped(process)
        return process


def slow(far: Far) -> Callable[[Any], Response | None]:
    """The server, taking a few milliseconds."""

    def reply(record: Any) -> Response | None:
        time.sleep(0.004)
        answer: Response | None = far(record)
        return answer

    return reply


@pytest.mark.parametrize(
    "runs",
    [pytest.param(3, marks=pytest.mark.timeout(300)), pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(2400)])],
    ids=["a few", "many"],
)
def test_no_change_by_another_program_costs_an_answer_or_gives_a_wrong_record(tmp_path: Path, runs: int) -> None:
    """Each run is disturbed once; the same command, run again, finishes without asking anything twice."""
    outcomes = {True: 0, False: 0}
    for seed in range(runs):
        far = Far()
        folder = tmp_path / str(seed)
        folder.mkdir()
        with Simulator(on_request=slow(far)) as simulator:
            run = Run(folder, simulator, far, seed)
            run.answered_before()
            good = run.finished(run.disturbed())
            outcomes[good] += 1
            attempts = 0
            while not good:
                attempts += 1
                assert attempts < 4, (seed, run.done)
                good = run.finished(run.start())
            while not run.finished(run.start()):  # the last version of the input
                attempts += 1
                assert attempts < 4, (seed, run.done)
        again = {prompt: count for prompt, count in far.answered.items() if count > 1}
        assert not again, (seed, run.done, again)
    print(f"\n{runs} runs disturbed: {outcomes[True]} finished at once, {outcomes[False]} stopped and were run again")  # noqa: T201  (a soak's figure)
