"""The errors of a batch: why a run is refused, or could not finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import Any

from llm_sync.batch.input.settings_hash import SIMULATED, settings_hash
from llm_sync.batch.input.source import Source
from llm_sync.batch.plan import BadLine, Plan
from llm_sync.errors import ConfigurationError, InvalidRequestError, LLMConnectorError
from llm_sync.models.grammar import counted
from llm_sync.models.route import Route

MAX_LISTED_LINES = 20  # bad lines listed in a message
_FIX_LINES = "Fix them, or count them as failures"
_MAX_SHOWN = 60  # characters shown of a setting


def bad_lines(lines: Sequence[BadLine], count: int, source: Source, *, no_objects: bool = False) -> InvalidRequestError:
    """Lines that cannot be sent; ``lines`` are the first of ``count``. ``no_objects``: no line is a JSON object."""
    if no_objects:
        return InvalidRequestError(
            f"no line of {source.name} is a JSON object, so nothing is sent",
            guidance="Are they plain prompts? Add --text (text=True). Is it CSV? Add --template (template=…).",
        )
    numbers: dict[str, list[int]] = {}  # by what is wrong: often the same in all lines
    for line in lines[:MAX_LISTED_LINES]:
        numbers.setdefault(str(line.error), []).append(line.number)
    listed = "\n".join(
        f"  {source.unit}{'s' * (len(same) > 1)} {', '.join(map(str, same))}: {error}" for error, same in numbers.items()
    )
    more = f"\n  and {count - MAX_LISTED_LINES} more" if count > MAX_LISTED_LINES else ""
    what, fix = f"one {source.unit} of {source.name}", "Fix it, or count it as a failure"
    if count > 1:
        what, fix = f"{count} {source.unit}s of {source.name}", _FIX_LINES
    return InvalidRequestError(
        f"{what} cannot be sent, so nothing is. {fix} with --skip-bad-lines (skip_bad_lines=True):\n{listed}{more}"
    )


def another_input(output: str, answers: int) -> InvalidRequestError:
    """None of the ``answers`` in the output is to a line of this input."""
    return InvalidRequestError(
        f"{output!r} holds {counted(answers, 'answer')}, and none of them is to a line of this input",
        guidance="Name another output, or start over with --restart (restart=True).",
    )


def strays(output: str, elsewhere: int, plan: Plan) -> InvalidRequestError | None:
    """Previous answers that this run would drop, although they are paid for; None if there are none."""
    if elsewhere:
        what = f"{_answers(elsewhere)} to requests that this run does not ask for (other models, another shard or limit)"
        keep = "keep what other models answered with --add-model (add_model=True), "
    elif plan.stray_models:
        what, keep = f"{_answers(plan.stray_models)} of other models than this run asks", ""
    else:
        return None
    return InvalidRequestError(
        f"{output!r} holds {what}, which would be lost",
        guidance=f"Ask as before, {keep}name another output, or start over with --restart (restart=True).",
    )


def changed_settings(
    output: str,
    plan: Plan,
    known: Mapping[str, Mapping[str, Any]],
    current: Callable[[Route], Mapping[str, Any]],
    *,
    allowed: bool,
) -> ConfigurationError | None:
    """Answers given under other settings; None if there are none, or they are ``allowed``. ``known``: earlier settings by hash;
    ``current``: a model's settings now. Simulated and real answers are never mixed.
    """
    differences = []
    mixed = 0
    for (name, target), count in plan.stray_settings.items():
        now = current(target)
        mixed += count * (name.startswith(SIMULATED) != settings_hash(now).startswith(SIMULATED))
        before = known.get(name)  # a finished output has only the hash
        if before is not None:
            differences.append(_differences(before, now))
    if mixed:
        now_simulated = not any(name.startswith(SIMULATED) for name, _ in plan.stray_settings)
        return _simulated_and_real(output, mixed, now_simulated=now_simulated)
    count = plan.stray_settings.total()
    if allowed or not count:
        return None
    were = "was" if count == 1 else "were"
    return ConfigurationError(
        f"{output!r}: {_answers(count)} {were} given under other settings than this run's{differences[0] if differences else ''}",
        guidance="Go back to those, keep what is there with --allow-changed-settings (allow_changed_settings=True), "
        "or start over with --restart (restart=True).",
    )


def _simulated_and_real(output: str, count: int, *, now_simulated: bool) -> ConfigurationError:
    what = "from providers, but this run asks a simulator" if now_simulated else "from a simulator, but this run asks providers"
    return ConfigurationError(
        f"{output!r} holds {_answers(count)} {what}",
        guidance="Name another output, or start over with --restart (restart=True).",
    )


def _answers(count: int) -> str:
    return f"{count} answer{'' if count == 1 else 's'}"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    parts = [f"{name} was {_shown(before.get(name))} and is {_shown(now.get(name))}" for name in names]
    return f": {', '.join(parts)}" if parts else ""


def _shown(value: Any) -> str:
    text = "unset" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def unwritable(part: str, error: OSError, rescued: str | None = None, *, logged: bool = False) -> LLMConnectorError:
    """The journal cannot be written any more. ``rescued``: the file with the missing answers; ``logged``: the log has them."""
    what = f"{part!r} cannot be written: {error.strerror or error}. Nothing more was sent"
    if rescued is not None:
        return LLMConnectorError(
            f"{what}; answers that it does not hold are in {rescued!r}",
            guidance=f"Fix this, add them with: cat {quote(rescued)} >>{quote(part)}, and run the same command again.",
        )
    if logged:
        return LLMConnectorError(
            f"{what}; answers that it does not hold are logged above, as no other file can be written either",
            guidance=f"Fix this, add those lines to {part}, and run the same command again.",
        )
    return LLMConnectorError(f"{what}, and all that was answered is in it", guidance="Fix this and run the same command again.")


def unfinished(output: str, error: OSError) -> LLMConnectorError:
    """The journal is complete, but another file cannot be read or written."""
    where = error.filename if isinstance(error.filename, str) else output
    return LLMConnectorError(
        f"{where!r}: {error.strerror or error}. Nothing more was sent, and all that was answered is in '{output}.part'",
        guidance="Fix this and run the same command again.",
    )


def lost(part: str, rescued: str) -> LLMConnectorError:
    """The journal was moved or deleted."""
    return LLMConnectorError(
        f"{part!r} was moved or deleted while the batch ran. Nothing more was sent; all of it is in {rescued!r}",
        guidance=f"Move that to {part} and run the same command again.",
    )


def forgotten_jobs(part: str, count: int) -> InvalidRequestError:
    """A restart while jobs of the providers' Batch APIs are open."""
    return InvalidRequestError(
        f"{part!r} has {counted(count, 'open job')}, which a restart would forget: providers go on with them, and bill them",
        guidance="Cancel them with 'llm-sync batch jobs OUTPUT --cancel', run the same command without --restart (restart=True) "
        "to collect them, or give them up with --rebuy (rebuy=True), too.",
    )


def changed_journal(part: str, unusable: int, unreadable: int) -> LLMConnectorError:
    """Another program has added to the journal what the output would not have."""
    parts = []
    if unusable:
        parts.append(f"{_answers(unusable)} to no request of this run, or given under other settings")
    if unreadable:
        parts.append("one line" if unreadable == 1 else f"{unreadable} lines")
        parts[-1] += " that cannot be read"
    return LLMConnectorError(
        f"another program added to {part!r} while the batch ran: {' and '.join(parts)}. "
        "Everything is still there, with all answers of this run",
        guidance="Run the same command again to use what can be used.",
    )


def changed_output(output: str) -> LLMConnectorError:
    """Another program has written the output."""
    return LLMConnectorError(
        f"another program changed {output!r} while the batch ran, so it is not replaced. All answers are in '{output}.part'",
        guidance="Move that output away, and run the same command again.",
    )


def damaged_output(path: str, part: str) -> LLMConnectorError:
    """Another program has written the new output before it was complete."""
    return LLMConnectorError(
        f"another program changed {path!r} while it was written. All answers are in {part!r}",
        guidance="Run the same command again.",
    )


def misplaced_record(number: int, part: str) -> LLMConnectorError:
    """The record that was found for a request is another one's."""
    return LLMConnectorError(
        f"the record found for request {number} is another one's, so no output is written. All answers are in {part!r}",
        guidance="Run the same command again; if this happens again, please report it.",
    )
