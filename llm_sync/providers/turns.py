"""What a turn of a conversation carries from and to a provider: state that it alone may have back, and ids that it accepts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.models import Message, ToolCall

FORMER_SIGNATURE = "#signature="  # of ids from before ToolCall.state: the text after it is Gemini's signature
_BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 9  # Mistral accepts this length alone; every other rule allows it


class Origin(NamedTuple):
    """What state is bound to: the endpoint and the model that made it. Signatures of one are invalid at any other."""

    dialect: str
    host: str
    model: str


def tagged(data: Any, origin: Origin) -> dict[str, Any] | None:
    """``data`` of an answer as the state of a message or a call; None for None."""
    return None if data is None else {**origin._asdict(), "data": data}


def tagged_calls(calls: tuple[ToolCall, ...], origin: Origin) -> tuple[ToolCall, ...]:
    """The calls of an answer; what the dialect read as their state is tagged with where it comes from."""
    if not any(call.state for call in calls):
        return calls
    return tuple(dataclasses.replace(call, state=tagged(call.state, origin)) for call in calls)


def own_state(state: Mapping[str, Any] | None, origin: Origin, *, any_model: bool = False) -> Any:
    """The data of ``state`` if it may go to ``origin``, else None.

    State without a host or a model comes from a caller who hands back what another library returned; the caller knows where
    from. ``any_model``: it is valid for every model of the endpoint.
    """
    if state is None or state.get("dialect") != origin.dialect or state.get("host") not in (None, origin.host):
        return None
    return state.get("data") if any_model or state.get("model") in (None, origin.model) else None


def with_accepted_ids(turns: tuple[Message, ...], accepted: re.Pattern[str]) -> tuple[Message, ...]:
    """The turns with ids of tool calls that ``accepted`` matches and that occur once; calls and results alike.

    Ids that fit stay as they are. The others become nine letters and digits, the same ones each time for the same turns.
    """
    if not any(turn.tool_calls for turn in turns):
        return turns
    out: list[Message] = []
    used: set[str] = set()
    names: dict[str, str] = {}  # of the calls of the last assistant turn
    for index, turn in enumerate(turns):
        if turn.tool_calls:
            names = {}
            for position, call in enumerate(turn.tool_calls):
                fits = accepted.fullmatch(call.id) and call.id not in used and FORMER_SIGNATURE not in call.id
                names[call.id] = call.id if fits else _short_id(index, position, call.id)
                used.add(names[call.id])
        out.append(_renamed(turn, names))
    return tuple(out)


def _renamed(turn: Message, names: Mapping[str, str]) -> Message:
    if turn.tool_calls and any(names[call.id] != call.id for call in turn.tool_calls):
        return dataclasses.replace(turn, tool_calls=[dataclasses.replace(call, id=names[call.id]) for call in turn.tool_calls])
    answered = turn.tool_call_id
    if answered is None or names.get(answered, answered) == answered:
        return turn
    return dataclasses.replace(turn, tool_call_id=names[answered])


def _short_id(index: int, position: int, issued: str) -> str:
    from hashlib import sha256  # loads OpenSSL, which most programs do not need here

    number = int.from_bytes(sha256(f"{index}/{position}/{issued}".encode("utf-8", "surrogatepass")).digest(), "big")
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_BASE_62))
        digits.append(_BASE_62[digit])
    return "".join(digits)


def with_unique_ids(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """The calls of an answer, each with an id of its own: some servers give none, or one for all."""
    if not calls:
        return calls
    if len(calls) == len({call.id for call in calls} - {""}):
        return calls
    out: list[ToolCall] = []
    used: set[str] = set()
    for position, call in enumerate(calls):
        call_id = call.id or f"call_{position}"
        if call_id in used:
            call_id = f"{call_id}_{position}"
        used.add(call_id)
        out.append(call if call_id == call.id else dataclasses.replace(call, id=call_id))
    return tuple(out)
