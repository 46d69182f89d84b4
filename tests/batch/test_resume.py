"""Running the same command again: answers are kept, failures that may pass are asked again, changes are noticed."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync.errors import ConfigurationError, InvalidRequestError, LLMConnectorError


class Stop(BaseException):
    """What interrupts a run in these tests."""


def interrupted(job: Batch, after: int, **options: Any) -> None:
    """Run until so many requests have an outcome, then stop as Ctrl-C does."""

    def watch(snapshot: Any) -> None:
        if snapshot.done >= after:
            raise Stop

    with pytest.raises(Stop):
        job.run(progress=watch, **options)


def hold(far: Far, prompt: str) -> None:
    """Let this prompt fail in the first run."""
    far.script(prompt, *[failure(503)] * 3)


def test_a_finished_output_sends_nothing(job: Batch, far: Far) -> None:
    """And is left as it is."""
    job.lines("p", "q")
    job.run()
    before = job.output.stat()
    summary = job.run()
    assert (summary.sent, summary.earlier, summary.complete, summary.tally.answered) == (0, 2, True, 2)
    assert (len(far.asked), job.output.stat().st_mtime_ns, job.output.stat().st_ino) == (2, before.st_mtime_ns, before.st_ino)
    assert not job.part.exists()


def test_a_stopped_run_goes_on_where_it_was(job: Batch, far: Far) -> None:
    """Its journal stays, with every outcome there was; the output appears at the end only."""
    prompts = [f"p{number}" for number in range(60)]
    job.lines(*prompts)
    far.script("p40", lambda: completion("echo p40"))
    interrupted(job, after=1)
    assert job.part.exists()
    assert not job.output.exists()
    done = len(far.asked)
    summary = job.run()
    assert (summary.sent, summary.earlier, summary.unsure) == (60 - done, done, 0)
    assert job.texts() == [f"echo {prompt}" for prompt in prompts]
    assert sorted(far.asked) == sorted(prompts)
    assert not job.part.exists()


def test_failures_that_may_pass_are_asked_again(job: Batch, far: Far) -> None:
    """Permanent ones are not, unless retry_failed is given."""
    far.script("busy", *[failure(503)] * 3)
    far.script("bad", failure(400), failure(400))
    far.script("key", failure(401))
    job.lines("busy", "bad", "key", "good")
    assert job.run().tally.answered == 1
    summary = job.run()
    assert (summary.again, summary.tally.answered) == (2, 3)
    assert job.texts() == ["echo busy", "InvalidRequestError", "echo key", "echo good"]
    assert far.asked.count("good") == far.asked.count("bad") == 1
    assert job.run(retry_failed=True).again == 1
    assert job.texts()[1] == "InvalidRequestError"
    assert job.run(retry_failed=True).tally.answered == 4


def test_what_timed_out_is_not_asked_again_unasked(job: Batch, far: Far, open_client: Any) -> None:
    """It may have been billed: it is listed, once and for all; a second attempt has to be asked for."""
    import threading

    over = threading.Event()

    def late() -> Any:
        over.wait(20)
        return completion("late")

    far.script("slow", late)
    job.lines("slow", "good")
    try:
        summary = job.run(timeout=0.3)
        assert (far.asked.count("slow"), summary.unsure) == (1, 1)
        assert job.texts() == ["RequestTimeoutError", "echo good"]
        assert job.records()[0]["possibly_billed"] == 1
        again = job.run()
        assert (again.sent, again.unsure) == (0, 1)
        assert [(key.position, times) for key, times in again.possibly_billed] == [(0, 1)]
        asked = job.run(retry_timeouts=True)
        assert (asked.sent, asked.unsure, job.texts()) == (1, 1, ["echo slow", "echo good"])
        assert job.records()[0]["possibly_billed"] == 1
    finally:
        over.set()


def test_time_outs_are_retried_where_the_configuration_says_so_itself(job: Batch, far: Far, open_client: Any) -> None:
    """The library's default does not count."""
    import threading

    over = threading.Event()

    def late() -> Any:
        over.wait(20)
        return completion("late")

    text = 'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m]%s}}\ndefaults: {retry_base: 0}'
    try:
        far.script("slow", late)
        job.lines("slow")
        job.run(client=open_client(text % ", retry_timeouts: true"), timeout=0.3)
        assert (far.asked, job.texts()) == (["slow", "slow"], ["echo slow"])
        assert job.records()[0]["possibly_billed"] == 1  # the first attempt may be billed, although the second was answered
    finally:
        over.set()


def test_a_changed_line_is_asked_anew(job: Batch, far: Far) -> None:
    """The summary says so; its previous answer is kept beside the output."""
    job.lines("p", "q", "r")
    job.run()
    job.lines("p", "other", "r")
    summary = job.run()
    assert (summary.changed, summary.sent, summary.replaced) == (1, 1, 1)
    assert job.texts() == ["echo p", "echo other", "echo r"]
    assert far.asked == ["p", "q", "r", "other"]
    (kept,) = job.records(job.output.with_name("out.jsonl.replaced"))
    assert kept["response"]["text"] == "echo q"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pqrs", "xpqrs"),
        ("pqrs", "pqxyrs"),
        ("pqrs", "qrs"),
        ("pqrs", "ps"),
        ("pqrs", "srqp"),
        ("ppqq", "qqpp"),
        ("pqrs", "p"),
        ("pp", "ppp"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_lines_that_only_moved_keep_their_answers(job: Batch, far: Far, before: str, after: str, finished: bool) -> None:
    """An inserted line costs one request, a deleted one none; equal lines are answered once each."""
    job.lines(*before)
    job.run()
    if not finished:  # as after a kill just before the end
        make_unfinished(job)
    job.lines(*after)
    new = len(after) - sum(min(before.count(letter), after.count(letter)) for letter in set(after))
    summary = job.run()
    assert summary.sent == new
    assert job.texts() == [f"echo {letter}" for letter in after]
    assert [record["index"] for record in job.records()] == list(range(len(after)))
    assert len(far.asked) == len(before) + new
    assert job.run().sent == 0


def make_unfinished(job: Batch) -> None:
    """The state after a kill between the last answer and the ordered output: the journal is all there is."""
    from llm_sync.batch.state import records
    from llm_sync.batch.state.journal import Journal

    journal = Journal(str(job.part))
    journal.note({"run": {}})
    for record in job.records():
        content = json.dumps(record).encode()
        head = records.head_of_record(content)
        assert head is not None
        journal.add(records.journal_line(head, record))
    journal.close()
    job.output.unlink()


def test_a_moved_answer_survives_a_kill_after_its_place_was_taken(job: Batch, far: Far) -> None:
    """The journal then has two outcomes for one position, of different lines; neither is asked again."""
    job.lines(*"pqrs")
    job.run()
    make_unfinished(job)
    job.lines(*"xpqrsy")
    hold(far, "y")
    job.run()
    make_unfinished(job)
    job.lines(*"xpqrsy")
    job.run()
    assert (job.texts(), sorted(set(far.asked))) == ([f"echo {letter}" for letter in "xpqrsy"], sorted("xpqrsy"))
    assert all(far.asked.count(letter) == 1 for letter in "xpqrs")


def test_another_input_is_refused(job: Batch, far: Far) -> None:
    """None of its lines was answered here, so it is probably the wrong output."""
    job.lines(*(f"p{number}" for number in range(12)))
    job.run()
    job.lines(*(f"q{number}" for number in range(12)))
    with pytest.raises(InvalidRequestError, match="out.jsonl' holds 12 answers, and none of them"):
        job.run()
    assert len(far.asked) == 12
    assert job.run(restart=True).sent == 12


def test_bad_lines_are_reported_before_another_input(job: Batch, far: Far) -> None:
    """Sorted lines with a field that is not kept: the message names the field, and not --restart, which would pay again."""
    job.lines(*(f"p{number}" for number in range(12)))
    job.run()
    job.lines(*({"prompt": f"p{number}", "model": "a/m", "reference": "x"} for number in reversed(range(12))))
    with pytest.raises(InvalidRequestError, match="the field 'reference' is unknown") as caught:
        job.run()
    assert "  lines 1, 2, 3" in str(caught.value)
    assert job.run(keep_all=True).sent == 0
    assert len(far.asked) == 12


def test_a_file_that_is_no_output_is_not_touched(job: Batch, far: Far) -> None:
    """A mistyped -o costs no file."""
    job.lines("p")
    job.output.write_text("my thesis\n")
    with pytest.raises(LLMConnectorError, match="is not the output of a batch"):
        job.run()
    assert (job.output.read_text(), far.asked) == ("my thesis\n", [])
    job.part.write_text("my other thesis, which is longer than a journal's first line is\n")
    job.output.unlink()
    with pytest.raises(LLMConnectorError, match="is not the journal of a batch"):
        job.run()
    assert (job.part.read_text()[:2], far.asked) == ("my", [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a named pipe")
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", None), lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_is_no_journal(job: Batch, far: Far, make: Any) -> None:
    """A folder, a pipe or a link in its place is reported at once, and not touched."""
    job.lines("p")
    make(job.part)
    with pytest.raises(LLMConnectorError, match="is not the journal of a batch"):
        job.run()
    assert (os.path.lexists(job.part), os.path.exists("elsewhere"), far.asked) == (True, False, [])


@pytest.mark.parametrize("name", ["-", "n" * 250, ""])
def test_a_name_under_which_no_batch_can_end_is_refused_before_it_begins(job: Batch, far: Far, name: str) -> None:
    """A name that fits the journal but not the finished output would fail only after everything is paid for."""
    job.lines("p")
    job.output = job.output.parent / name if len(name) > 1 else name  # type: ignore[assignment]
    with pytest.raises(OSError, match="too long|not a file name"):
        job.run()
    assert far.asked == []


def test_a_pipe_is_no_output(job: Batch, far: Far) -> None:
    """It could not be replaced at the end."""
    job.lines("p")
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb"):
        job.output = f"/dev/fd/{writing}"  # type: ignore[assignment]
        if not os.path.exists(job.output):
            pytest.skip("no /dev/fd")
        with pytest.raises(OSError, match="not an ordinary file"):
            job.run()
    assert far.asked == []


def test_changed_settings_are_noticed(job: Batch, far: Far) -> None:
    """Answers of two temperatures are not mixed unless that is asked for; the error names what changed."""
    job.lines("p", "q")
    hold(far, "q")
    job.run(fields={"temperature": 0.2})
    make_unfinished(job)
    with pytest.raises(ConfigurationError, match="out.jsonl': 1 answer was given under other settings"):
        job.run(fields={"temperature": 0.9})
    assert far.asked.count("p") == 1
    summary = job.run(fields={"temperature": 0.9}, allow_changed_settings=True)
    assert (summary.sent, job.texts()) == (1, ["echo p", "echo q"])


def test_the_settings_that_changed_are_named(job: Batch, far: Far, open_client: Any) -> None:
    """The journal has the former values; those of the configuration count, too."""
    text = 'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], temperature: %s}}'
    job.lines(*(f"p{number}" for number in range(40)))
    interrupted(job, after=1, client=open_client(text % 0.2), fields={"seed": 7})
    with pytest.raises(ConfigurationError, match=r"seed was 7 and is unset, temperature was 0.2 and is 0.9"):
        job.run(client=open_client(text % 0.9))
    job.run(client=open_client(text % 0.2), fields={"seed": 7})


def test_where_and_how_it_is_sent_are_no_settings(job: Batch, far: Far, open_client: Any) -> None:
    """Another address, more time, more workers: the answers are as good."""
    job.lines("p", "q")
    hold(far, "q")
    job.run()
    client = open_client(
        'providers: {a: {type: openai, api_key: other, base_url: "<openai>/", models: [m], concurrency: 5, timeout: 7}}'
    )
    assert job.run(client=client, max_retries=5, timeout=30).sent == 1


def test_answers_of_other_models_are_not_thrown_away(job: Batch, far: Far) -> None:
    """They are paid for: the run says so instead of replacing them."""
    job.lines("p", "q")
    job.run(models=["a/m", "b/m2"])
    for options in ({"models": ["a/m"]}, {"models": ["a/n"]}, {}, {"limit": 1, "models": ["a/m", "b/m2"]}):
        with pytest.raises(InvalidRequestError, match="would be lost"):
            job.run(**options)
    job.lines({"prompt": "p"}, {"prompt": "q"})
    assert len(far.asked) == 4


def test_the_models_of_a_run_may_grow(job: Batch, far: Far) -> None:
    """Existing answers are kept, whatever the order of the models."""
    job.lines("p", "q")
    job.run(models=["a/m"])
    summary = job.run(models=["b/m2", "a/m"])
    assert (summary.sent, len(far.asked)) == (2, 4)
    assert [record["model"] for record in job.records()] == ["m2", "m", "m2", "m"]


def test_restarting_asks_all_anew_and_keeps_the_old_journal(job: Batch, far: Far) -> None:
    """The old journal is renamed, not deleted."""
    job.lines(*(f"p{number}" for number in range(30)))
    interrupted(job, after=1)
    done = len(far.asked)
    assert job.run(restart=True).sent == 30
    assert len(far.asked) == done + 30
    old = job.part.with_name("out.jsonl.part.old").read_text()
    assert old.count('{"done"') == done


def test_a_restart_that_is_refused_leaves_the_journal_where_it_was(job: Batch, far: Far) -> None:
    """Nothing was sent, so the same command without --restart resumes the old run."""
    prompts = [f"p{number}" for number in range(30)]
    job.lines(*prompts)
    interrupted(job, after=1)
    before, done = job.part.read_bytes().partition(b"\n")[2], len(far.asked)
    job.lines(*prompts, {"promt": "q"})
    with pytest.raises(InvalidRequestError, match="cannot be sent"):
        job.run(restart=True)
    assert job.part.read_bytes().partition(b"\n")[2] == before
    assert not job.part.with_name("out.jsonl.part.old").exists()
    job.lines(*prompts)
    assert job.run().sent == 30 - done


def test_going_on_with_a_restart_does_not_fall_back_on_the_old_output(job: Batch, far: Far) -> None:
    """The old output stays until it is replaced, but its answers no longer count."""
    prompts = [f"p{number}" for number in range(30)]
    job.lines(*prompts)
    job.run()
    before = job.output.read_bytes()
    interrupted(job, after=1, restart=True)
    done = len(far.asked) - 30
    assert 0 < done < 30
    assert job.output.read_bytes() == before
    summary = job.run()
    assert (summary.sent, summary.earlier) == (30 - done, done)
    assert sorted(far.asked) == sorted(2 * prompts)
    assert job.run().sent == 0


def test_other_names_above_the_same_rows_are_other_prompts(job: Batch, far: Far) -> None:
    """No row has changed, and every prompt has."""
    job.input.write_text("from,to\nx,y\n")
    job.run(template="{from} into {to}", models=["a/m"])
    job.input.write_text("to,from\nx,y\n")
    with pytest.raises(ConfigurationError, match="other settings"):
        job.run(template="{from} into {to}", models=["a/m"])
    assert far.asked == ["x into y"]


def test_bad_lines_are_reported_by_number_and_nothing_is_sent(job: Batch, far: Far) -> None:
    """All of them at once, in the input's own numbers."""
    job.input.write_bytes(
        b'{"prompt": "p", "model": "a/m"}\n\n{"prompt": \n{"prompt": "p", "model": "nobody/x"}\n{"promt": "p"}\n'
        b'["p"]\n{"prompt": "p\xff"}\n{"prompt": NaN}\n{"prompt": "  ", "model": "a/m"}\n'
        b'{"prompt": "p", "model": "m", "temperature": 9}\n'
    )
    with pytest.raises(InvalidRequestError) as caught:
        job.run()
    text = str(caught.value)
    assert text.startswith("8 lines of ")
    for number, what in enumerate(
        ["not JSON", "nobody", "Did you mean prompt", "a list", "not UTF-8", "NaN", "empty", "range"], 3
    ):
        (line,) = [line for line in text.splitlines() if line.startswith(f"  line {number}:")]
        assert what in line
    assert far.asked == []
    assert not job.part.exists()


def test_a_file_of_plain_prompts_is_recognized(job: Batch, far: Far) -> None:
    """Not line by line: --text is forgotten. With one good line, or another mistake, the lines are listed."""
    job.input.write_text("".join(f"{number}\nSay {number}\n" for number in range(30)))
    with pytest.raises(InvalidRequestError) as caught:
        job.run()
    assert len(str(caught.value).splitlines()) == 1
    assert "no line of " in str(caught.value)
    assert "--text" in str(caught.value)
    for other in ('{"prompt": "p", "model": "a/m"}', '{"promt": "p"}'):
        job.input.write_text(f"one\ntwo\n{other}\n")
        with pytest.raises(InvalidRequestError, match=r"2 lines|3 lines"):
            job.run()
    assert far.asked == []


def test_skipped_lines_are_failures_in_their_place(job: Batch, far: Far, caplog: Any) -> None:
    """Each is reported; a later run leaves them until they are corrected."""
    job.lines("p", {"promt": "q", "id": "x"}, "r")
    with caplog.at_level(logging.WARNING, "llm_sync"):
        summary = job.run(skip_bad_lines=True)
    assert "line 2 of" in caplog.text
    assert (summary.skipped, summary.sent, summary.failed) == (1, 2, 1)
    assert job.texts() == ["echo p", "InvalidRequestError", "echo r"]
    assert [(record["index"], record["id"], record["provider"]) for record in job.records()][1] == (1, "x", None)
    assert job.run().sent == 0
    job.lines("p", "q", "r")
    assert job.run().sent == 1
    assert (job.texts(), far.asked) == (["echo p", "echo q", "echo r"], ["p", "r", "q"])


def test_more_than_twenty_bad_lines_are_counted(job: Batch) -> None:
    """A file of the wrong kind fills neither the screen nor the memory."""
    job.lines(*[{"x": 1}] * 50)
    with pytest.raises(InvalidRequestError, match=r"50 lines of [^:]+ cannot be sent(.|\n)*and 30 more"):
        job.run()
