"""``llm-sync batch``: what is sent, what is printed, and the exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import events
from llm_sync.batch import LaneView, Snapshot
from llm_sync.batch.summary import Tally
from llm_sync.cli.commands import batch as command
from llm_sync.cli.console import batch_progress, quantities
from llm_sync.cli.console.in_flight import InFlightRequests
from llm_sync.cli.console.quantities import duration
from llm_sync.cli.console.table import table
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import parse
from llm_sync.simulator import RequestRecord, Response, Simulator

Ask = Callable[..., Any]

pytestmark = pytest.mark.timeout(180)  # starts of Python, several a test, on a machine that may be busy


@pytest.fixture
def ask(llm: Ask, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs ``llm-sync batch … --config`` the configuration, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: llm("batch", "--config", config, *arguments, **options)


def write(name: str, *lines: Any) -> None:
    """An input in the current folder."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def records(name: str) -> list[dict[str, Any]]:
    """An output in the current folder."""
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def test_a_file_goes_in_and_a_file_comes_out(ask: Ask) -> None:
    """The result is printed in a few lines. The same command again sends nothing, and says so."""
    write("in", {"prompt": "p", "model": "first/m"}, {"prompt": "q", "model": "second/m", "id": 7})
    ran = ask("in", "-o", "out")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "out: 2 requests, 2 answered"
    assert [record["provider"] for record in records("out")] == ["first", "second"]
    ran = ask("in", "-o", "out")
    assert (ran.status, "nothing: all requests were answered before" in ran.out) == (0, True)


def test_the_options_of_generate_hold_for_every_line(ask: Ask, provider: Simulator) -> None:
    """And what is given with a line counts more."""
    write("in", {"prompt": "p"}, {"prompt": "q", "temperature": 1})
    options = ("--system", "s", "--temperature", "0", "--max-tokens", "9", "--stop", "x", "--seed", "3", "--set", "user=u")
    assert ask("in", "-o", "out", "-m", "first/m", *options).status == 0
    first, second = (record.payload for record in provider.requests)
    assert {name: first[name] for name in ("temperature", "max_tokens", "stop", "seed", "user")} == {
        "temperature": 0,
        "max_tokens": 9,
        "stop": ["x"],
        "seed": 3,
        "user": "u",
    }
    assert (first["messages"][0]["content"], second["temperature"]) == ("s", 1)


def test_text_csv_and_standard_input(ask: Ask, provider: Simulator) -> None:
    """Each in its form."""
    assert ask("--text", "-", "-o", "a", "-m", "first/m", stdin=b"one\ntwo\n").status == 0
    Path("t.tsv").write_text("x\ty\n1\t2,3\n")
    assert ask("t.tsv", "--template", "{x}:{y}", "-o", "b", "-m", "first/m").status == 0
    Path("t.csv").write_text("x;y\n1;2,3\n")
    assert ask("t.csv", "--template", "{x}:{y}", "--delimiter", ";", "-o", "c", "-m", "first/m").status == 0
    assert [record.payload["messages"][0]["content"] for record in provider.requests] == ["one", "two", "1:2,3", "1:2,3"]


def test_the_summary_as_json(ask: Ask, script: Any) -> None:
    """One object with everything."""
    script.fail(400)
    write("in", {"prompt": "p"}, {"prompt": "q"})
    ran = ask("in", "-o", "out", "-m", "first/m", "--json")
    printed = json.loads(ran.out)
    assert ran.status == 9
    assert (printed["requests"], printed["answered"], printed["unanswered"], printed["failed"]) == (
        2,
        1,
        1,
        {"InvalidRequestError": 1},
    )
    assert (printed["output"], printed["complete"], printed["unfit"]) == ("out", True, None)


def test_the_message_of_the_first_failure_of_each_kind_is_printed(ask: Ask, script: Any) -> None:
    """Counts alone say nothing of what to do; what was kept from an earlier run stands in the output."""
    script.fail(400)
    script.fail(401)
    script.fail(400)
    write("in", {"prompt": "p"}, {"prompt": "q"}, {"prompt": "r"})
    ran = ask("in", "-o", "out", "-m", "first/m")
    reasons = [line for line in ran.out.splitlines() if line.startswith("    ")]
    assert [line.split(":")[0].strip() for line in reasons] == ["InvalidRequestError", "AuthenticationError"]
    assert "Check the key" in reasons[1]
    assert not [line for line in ask("in", "-o", "out", "-m", "first/m").out.splitlines() if line.startswith("    ")]
    script.fail(401)
    again = ask("in", "-o", "out", "-m", "first/m", "--retry-failed", "--json")
    assert list(json.loads(again.out)["reasons"]["first"]) == ["AuthenticationError"]


@pytest.mark.parametrize(
    ("faults", "status"), [([400, 401], 7), ([401, 400], 4), ([429, 429, 400], 5), ([400], 9), ([], 0)], ids=str
)
def test_the_status_is_that_of_the_first_failure_when_all_fail(ask: Ask, script: Any, faults: list[int], status: int) -> None:
    """As with generate."""
    for fault in faults:
        script.fail(fault)
    write("in", {"prompt": "p"}, {"prompt": "q"})
    assert ask("in", "-o", "out", "-m", "first/m").status == status


def test_a_gate_that_is_not_passed_is_status_10(ask: Ask, script: Any) -> None:
    """With the reason; the output is there all the same."""
    script.fail(400)
    script.answer("half", "length")
    write("in", {"prompt": "p"}, {"prompt": "q"}, {"prompt": "r"})
    common = ("in", "-o", "out", "-m", "first/m")
    ran = ask(*common, "--max-error-rate", "0.3")
    assert (ran.status, len(records("out"))) == (10, 3)
    assert "the run exceeds its limit: 1 of 3 requests has no answer: 33.33%, more than 30.00%" in ran.err
    assert ask(*common, "--max-error-rate", "50%").status == 9
    ran = ask(*common, "--fail-on-truncated", "--json")
    assert (ran.status, json.loads(ran.out)["unfit"]) == (10, "1 answer is truncated")


def test_bad_lines_are_status_7_and_named(ask: Ask, provider: Simulator) -> None:
    """Nothing is sent of such a file, unless they may be skipped."""
    write("in", {"prompt": "p"}, {"promt": "q"})
    ran = ask("in", "-o", "out", "-m", "first/m")
    assert (ran.status, ran.out, provider.requests) == (7, "", [])
    assert "line 2: the field 'promt' is unknown. Did you mean prompt?" in ran.err
    ran = ask("in", "-o", "out", "-m", "first/m", "--skip-bad-lines")
    assert (ran.status, len(provider.requests)) == (9, 1)
    assert "line 2 of 'in' is skipped" in ran.err


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["nowhere", "-o", "out"], "INPUT 'nowhere' cannot be read: No such file or directory"),
        (["in", "-o", "nowhere/out"], "--output 'nowhere/out' cannot be written: there is no folder 'nowhere'"),
        (["in", "-o", "in"], "--output 'in' cannot be written: it is the input, too"),
        (["in", "-o", "."], "--output '.' cannot be written: Is a directory"),
        (["in", "-o", "x/"], "--output 'x/' cannot be written: it is not a file name"),
        (["in", "-o", "/dev/null"], "it is not an ordinary file"),
        (["in", "in2", "-o", "out"], "batch reads one INPUT"),
        (["in", "-o", "out", "--delimiter", ";"], "needs a --template"),
        (["in", "-o", "out", "--shard", "3/2"], "'3/2' is not I/N with I from 1 to N"),
        (["in", "-o", "out", "--max-error-rate", "3"], "is not a share"),
        (["in", "-o", "out", "--template", "x", "--text"], "not allowed with"),
        (["in"], "-o/--output"),
        (["-o", "out"], "INPUT"),
        (["merge", "-o", "out"], "merge needs the outputs"),
        (["merge", "in", "-o", "out", "--retry-failed"], "--retry-failed does not apply to merge"),
        (["merge", "nowhere", "-o", "out"], "nowhere' cannot be merged: No such file or directory"),
    ],
)
def test_a_command_line_that_cannot_be_is_status_2(
    ask: Ask, llm: Ask, provider: Simulator, arguments: list[str], printed: str
) -> None:
    """And says what is wrong."""
    write("in", {"prompt": "p", "model": "first/m"})
    ran = llm("batch", *arguments) if arguments[0] == "merge" else ask(*arguments)
    assert (ran.status, ran.out, provider.requests) == (2, "", [])
    assert printed in ran.err


def test_a_sample_tells_what_the_other_lines_will_cost(ask: Ask, provider: Simulator) -> None:
    """--limit sends a few lines; --then-estimate counts the others, and sends none of them."""
    write("in", *({"prompt": f"p{number}"} for number in range(9)))
    ran = ask("in", "-o", "out", "-m", "first/m", "--limit", "2", "--then-estimate")
    assert ran.status == 0
    assert "9 requests, 7 to be sent, 2 answered before" in ran.out
    assert len(provider.requests) == 2
    refused = ask("in", "-o", "out", "-m", "first/m", "--then-estimate")
    assert (refused.status, "--then-estimate needs --limit N" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("installed", "advice"),
    [
        (True, "; set pricing of the model in the configuration\n"),
        (False, "; pip install 'llm-sync[prices]', or set pricing of the model in the configuration\n"),
    ],
)
def test_an_unknown_cost_comes_with_what_makes_it_known(
    ask: Ask, provider: Simulator, monkeypatch: pytest.MonkeyPatch, installed: bool, advice: str
) -> None:
    """Once in each summary, as the list of prices is installed or not."""
    monkeypatch.setattr(quantities, "find_spec", lambda name: object() if installed else None)
    write("in", {"prompt": "p"}, {"prompt": "q"})
    planned = ask("in", "-o", "out", "-m", "first/m", "-m", "second/m", "--max-tokens", "5", "--dry-run")
    ran = ask("in", "-o", "out", "-m", "first/m", "-m", "second/m", "--max-tokens", "5")
    for out in (planned.out, ran.out):
        assert out.count(advice) == 1
        assert out.count("pricing of the model") == 1
    assert "  cost    unknown: 4 answers without a price;" in ran.out


def test_a_limit_may_be_of_any_size(ask: Ask, provider: Simulator) -> None:
    """All lines are fewer."""
    write("in", {"prompt": "p"}, {"prompt": "q"})
    assert ask("in", "-o", "out", "-m", "first/m", "--limit", "9" * 30).status == 0
    assert len(provider.requests) == 2


def test_a_dry_run_sends_nothing(ask: Ask, provider: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts, and its status is that of the first thing that is wrong."""
    write("in", {"prompt": "p"}, {"prompt": "q"})
    ran = ask("in", "-o", "out", "-m", "first/m", "--dry-run")
    assert (ran.status, ran.out.splitlines()[0]) == (0, "2 requests, 2 to be sent")
    assert "the cost is unknown, as the configuration has no pricing, " in ran.out
    printed = json.loads(ask("in", "-o", "out", "-m", "first/m", "--dry-run", "--json").out)
    assert (printed["to_send"], printed["cost_at_most"], printed["problems"]) == (2, None, [])
    write("in", {"promt": "p"})
    ran = ask("in", "-o", "out", "-m", "first/m", "--dry-run")
    assert (ran.status, "line 1" in ran.err) == (7, True)
    monkeypatch.delenv("CLI_TEST_KEY")
    write("in", {"prompt": "p"})
    assert ask("in", "-o", "out", "-m", "first/m", "--dry-run").status == 4
    assert provider.requests == []
    assert not Path("out").exists()


def test_shards_are_merged_and_missing_lines_are_reported(ask: Ask, llm: Ask) -> None:
    """Status 9 then; what there is is written."""
    write("in", *({"prompt": f"p{number}", "model": "first/m"} for number in range(5)))
    for part in (1, 2):
        assert ask("in", "-o", f"out{part}", "--shard", f"{part}/3").status == 0
    ran = llm("batch", "merge", "out1", "out2", "-o", "all")
    assert (ran.status, ran.out) == (9, "all: 4 records, 4 answered\n")
    assert "1 line of the input missing: index 2" in ran.err
    assert ask("in", "-o", "out3", "--shard", "3/3").status == 0
    ran = llm("batch", "merge", "out3", "out2", "out1", "-o", "all", "--json")
    assert (ran.status, json.loads(ran.out)["missing_count"]) == (0, 0)
    assert [record["index"] for record in records("all")] == [0, 1, 2, 3, 4]


def test_single_requests_are_spoken_of_only_when_asked_for(ask: Ask, script: Any) -> None:
    """A million retries in words would hide all else; they are counted."""
    script.fail(503)
    script.answer("half", "length")
    write("in", {"prompt": "p"})
    ran = ask("in", "-o", "out", "-m", "first/m")
    assert (ran.status, ran.err) == (0, "")
    assert "1 answered (1 of them truncated)" in ran.out
    script.fail(503)
    write("in", {"prompt": "q"})
    assert "trying again in" in ask("in", "-o", "out", "-m", "first/m", "-v").err


def test_quiet_prints_nothing_on_success(ask: Ask) -> None:
    """For cron."""
    write("in", {"prompt": "p"})
    ran = ask("in", "-o", "out", "-m", "first/m", "-q")
    assert (ran.status, ran.out, ran.err) == (0, "", "")


def test_quiet_prints_failures(ask: Ask, script: Any) -> None:
    """In one line, which is the mail that cron sends."""
    script.fail(401)
    write("in", {"prompt": "p"}, {"prompt": "q"})
    ran = ask("in", "-o", "out", "-m", "first/m", "-q")
    assert (ran.status, ran.out) == (9, "")
    assert "1 of 2 requests not answered: AuthenticationError 1. The first error: first/m: " in ran.err


def test_a_provider_that_gets_no_more_requests_is_reported(ask: Ask, script: Any) -> None:
    """With how many are not sent, and what to do; nothing of it is lost."""
    for _ in range(9):
        script.fail(401)
    write("in", *({"prompt": f"p{number}"} for number in range(20)))
    ran = ask("in", "-o", "out", "-m", "first/m", "--give-up-after", "2")
    assert (ran.status, Path("out").exists(), Path("out.part").exists()) == (4, False, True)
    assert "first: 2 requests in a row failed with AuthenticationError" in ran.err
    assert "run the same command again" in ran.err


def test_failing_fast_sends_nothing_more(ask: Ask, script: Any, provider: Simulator) -> None:
    """To no provider."""
    script.fail(400)
    write("in", *({"prompt": f"p{number}"} for number in range(40)))
    ran = ask("in", "-o", "out", "-m", "first/m", "--fail-fast")
    assert ran.status in (7, 9)  # what was in the queue may have been answered
    assert len(provider.requests) < 10
    assert not Path("out").exists()


def test_progress_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every 30 s without a terminal; with --quiet never."""
    lane = LaneView("first", 1500, 300, 2, 1, 4, 2.5, 60.0)
    tally = Tally(answered=298, input_tokens=1000, output_tokens=2000, cost=0.25)
    snapshot = Snapshot((lane, LaneView("second", 10, 10, 0, 0, 0, None, 1.0)), tally, 60.0)
    times = iter([0.0, 1.0, 29.0, 31.0, 31.0, 45.0, 62.0, 62.0])  # the second line is due after 30 s
    monkeypatch.setattr(command.time, "monotonic", lambda: next(times))
    watch = command._ProgressWatcher("in.jsonl", "out.jsonl")
    assert watch.rows(InFlightRequests()) == [("reading", "in.jsonl")]
    assert watch.work() is None
    for _ in range(5):
        watch(snapshot)
    line = (
        "llm-sync: 310 of 1,510 done (21%), about 8 min left, 0.2500 USD, 1,000 tokens in, 2,000 out; "
        "first 300/1,500, 2 failed, 4 retries, 150/min; second 10/10"
    )
    assert capsys.readouterr().err.splitlines() == [line, line]
    assert watch.rows(InFlightRequests())[-2:] == [
        ("in all", "310/1,510 (21%), 8 min left"),
        ("", "0.2500 USD, 1,000 tokens in, 2,000 out"),
    ]
    assert watch.work() == {"file": "out.jsonl", "total": 1510, "done": 310, "seconds_left": 480}


def test_the_oldest_request_of_each_provider_is_shown() -> None:
    """For how long it is in flight, and what it waits for; not while the provider is paused."""
    now = 100.0
    requests = InFlightRequests(clock=lambda: now)
    for key, provider in ((1, "first"), (2, "first"), (3, "second")):
        requests(events.Queued(provider, key=key, at=10.0 * key, model="m", depth=0))
        requests(events.Started(provider, key=key, at=20.0 * key))
    requests(events.Waiting("second", key=3, at=95.0, reason="pace", seconds=9.0))
    lanes = (LaneView("first", 5, 1, 0, 2, 0, None, 1.0), LaneView("second", 5, 0, 0, 1, 0, 0.1, 1.0))
    rows = batch_progress.rows(Snapshot(lanes, Tally(), 1.0), requests)
    assert rows[:2] == [
        ("first", "1/5, oldest in flight 80 s"),
        ("second", "0/5, 6.0/min, oldest in flight 40 s (waiting for 4 s: requests_per_minute)"),
    ]


def test_totals_have_room_on_80_columns() -> None:
    """However large they are."""
    lane = LaneView("a-provider-with-a-long-name", 10_000_000, 9_999_999, 0, 0, 0, 0.0001, 1.0)
    tally = Tally(answered=9_999_999, input_tokens=9_999_999_999, output_tokens=999_999_999, cost=99_999.99)
    for subject, state in batch_progress.rows(Snapshot((lane,), tally, 1.0), InFlightRequests())[1:]:
        assert len(state) <= 80 - 80 // 4 - 2 - 4, (subject, state)


def test_a_table_that_is_too_wide_is_written_as_lines() -> None:
    """Wrapped rows of a table would be unreadable."""
    cells = [("provider", "done", "failed"), ("first", "1,000", "2"), ("another", "7", "0")]
    assert table(cells, 40) == table(cells)
    assert table(cells)[1] == "  first     1,000       2"
    assert table(cells, 24) == ["  first: done 1,000, failed 2", "  another: done 7, failed 0"]


@pytest.mark.parametrize(
    ("seconds", "printed"), [(0, "0.0 s"), (9.94, "9.9 s"), (75, "75 s"), (150, "2 min"), (7200, "2 h 00 min")]
)
def test_times_in_words(seconds: float, printed: str) -> None:
    """No more exact than anyone cares for."""
    assert duration(seconds) == printed


@pytest.mark.parametrize(("argument", "share"), [("0", 0), ("0.25", 0.25), ("1", 1), ("2%", 0.02), ("100%", 1)])
def test_shares(argument: str, share: float) -> None:
    """As a number, or in per cent."""
    assert parse(["batch", "in", "-o", "out", "--max-error-rate", argument]).max_error_rate == pytest.approx(share)
    for wrong in ("-1", "1.1", "101%", "x", "", "nan", "%"):
        with pytest.raises(UsageError):
            parse(["batch", "in", "-o", "out", f"--max-error-rate={wrong}"])


class Slow:
    """A provider that answers the first requests, and holds the rest back until it is over."""

    def __init__(self, quick: int) -> None:
        self._quick = quick
        self._lock = threading.Lock()  # guards count
        self.count = 0
        self.held = threading.Semaphore(0)
        self.over = threading.Event()

    def __call__(self, record: RequestRecord) -> Response | None:
        """Count, hold back."""
        with self._lock:
            self.count += 1
            late = self.count > self._quick
        if late:
            self.held.release()
            self.over.wait(30)
        return None


@pytest.fixture
def slow() -> Slow:
    """One whose sixth request is the first that is held back."""
    return Slow(5)


@pytest.fixture
def started(start: Ask, slow: Slow, tmp_path: Path) -> Any:
    """``llm-sync batch`` as a process, with a request in flight that will not end by itself."""
    with Simulator(on_request=slow) as simulator:
        (tmp_path / "slow.yaml").write_text(
            f'providers: {{openai: {{api_key: k, base_url: "{simulator.url("openai")}", models: [gpt-4o-mini]}}}}'
        )
        (tmp_path / "in").write_text("".join(f'{{"prompt": "p{number}"}}\n' for number in range(20)))

        def run(*more: str) -> subprocess.Popen[bytes]:
            return start("batch", "--config", "./slow.yaml", "in", "-o", "out", *more)  # type: ignore[no-any-return]

        yield run
        slow.over.set()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_drains_and_prints_how_to_resume(
    started: Ask, slow: Slow, tmp_path: Path, number: int, status: int
) -> None:
    """Answers in flight that arrive in time are in the journal; the printed command resumes."""
    process = started("--restart")
    assert slow.held.acquire(timeout=20)
    process.send_signal(number)
    assert b"waiting up to 5 s" in process.stderr.readline()
    slow.over.set()
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert b"to resume:\n  llm-sync batch --config ./slow.yaml in -o out\n" in err
    assert b"at least 6 of 20 requests done; the answers so far are in out.part" in err
    assert slow.count == 6
    again = started()
    assert again.wait(timeout=120) == 0
    assert slow.count == 20
    assert [json.loads(line)["index"] for line in (tmp_path / "out").read_text().splitlines()] == list(range(20))


def test_the_second_signal_ends_at_once_and_leaves_a_journal(started: Ask, slow: Slow) -> None:
    """What was in flight is listed by the next run."""
    process = started()
    assert slow.held.acquire(timeout=20)
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert b"to resume:\n  llm-sync batch --config ./slow.yaml in -o out\n" in process.stderr.read()  # as the first one
    slow.over.set()
    again = started("--json")
    out, _ = again.communicate(timeout=120)
    printed = json.loads(out)
    assert (again.returncode, printed["answered"], printed["answered_earlier"], printed["possibly_billed"]) == (0, 20, 5, 1)
    assert printed["possibly_billed_requests"][0]["index"] == 5


def test_the_command_to_resume_a_simulation_is_one_again(start: Ask, tmp_path: Path) -> None:
    """With the options of the simulation; without them, real providers would be asked for the rest."""
    (tmp_path / "in").write_text('{"prompt": "p"}\n' * 3)
    process = start("simulate", "--latency", "40", "--", sys.executable, "-m", "llm_sync", "-v", "batch", "in", "-o", "out")
    while b"starts" not in (line := process.stderr.readline()):
        assert line, "it ended"
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        while not (b"waiting" in (line := process.stderr.readline()) or b"to resume" in line):
            assert line, "it ended without a word"
    err = process.stderr.read()
    assert b"  llm-sync simulate --latency 40 -- llm-sync -v batch in -o out\n" in err


def test_a_second_process_is_refused(started: Ask, slow: Slow) -> None:
    """With the first one's pid; the first goes on."""
    first = started()
    assert slow.held.acquire(timeout=20)
    second = started()
    _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"is being written by process {first.pid}".encode() in err
    slow.over.set()
    assert first.wait(timeout=120) == 0
    assert slow.count == 20


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_standard_output_that_cannot_be_written_is_reported_before_anything_is_paid_for(
    slow: Slow, started: Ask, start: Ask
) -> None:
    """As with every command."""
    with open("/dev/full", "wb") as full:
        process = start("batch", "--config", "./slow.yaml", "in", "-o", "out", stdout=full)
        assert process.wait(timeout=120) == 1
    assert slow.count == 0
