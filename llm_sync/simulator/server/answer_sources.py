"""Where answers come from if they are not generated: an answers file, a replayed batch or store, recorded exchanges."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.answer_file import load_answers
from llm_sync.simulator.answers.replay import Replay
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.dialects.recordings import Recordings
from llm_sync.simulator.dialects.stored_replies import StoredReplies
from llm_sync.simulator.server.routes import DIALECT_BY_TYPE, route

REPLAY_ELSE = ("refuse", "answer")


class AnswerSources:
    """The sources of one simulator, read when it is created. Thread-safe.

    Raises ConfigurationError with all problems of the first source that cannot be used, ValueError for ``replay_else``.
    """

    def __init__(
        self,
        answers: str | os.PathLike[str] | Mapping[Any, Any] | None,
        replay: str | os.PathLike[str] | None,
        replay_else: str,
        recorded: str | os.PathLike[str] | None,
    ) -> None:
        if replay_else not in REPLAY_ELSE:
            raise ValueError(f"replay_else is {replay_else!r}; use one of {', '.join(REPLAY_ELSE)}")
        self._answers = None if answers is None else load_answers(answers)
        is_store = replay is not None and os.path.isdir(replay)
        otherwise = replay_else == "answer"
        self._stored = StoredReplies(replay, otherwise=otherwise) if replay is not None and is_store else None
        self._replay = None if replay is None or is_store else Replay(replay, otherwise=otherwise)
        self._recorded = None if recorded is None else Recordings(recorded, DIALECT_BY_TYPE)

    def route(self, path: str) -> tuple[Dialect, str] | None:
        """The dialect or recording of a path, and the path after its base; None if there is none."""
        return (self._recorded and self._recorded.route(path)) or route(path)

    def attach_to(self, call: Call) -> None:
        """Sets the functions with which ``call`` finds its answer."""
        if self._replay is not None:
            call.find_replayed = self._replay.find
        if self._stored is not None:
            call.find_stored = self._stored.find
            call.missing_stored = None if self._stored.otherwise else self._stored.missing
        if self._answers is not None:
            call.find_canned = self._answers.find

    def recorded_urls(self, root: str) -> dict[str, tuple[str, str]]:
        """Each recorded exchange by its name: the provider type to configure, and the base URL."""
        return {recording.title: (recording.type, root + recording.base) for recording in self._recorded or ()}
