"""Where a simulator's answers come from, beside the draw: an answers file, a replayed run, recorded exchanges."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.answer_file import load_answers
from llm_sync.simulator.answers.recordings import Recordings
from llm_sync.simulator.answers.replay import Replay
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.server.routes import TYPES, route

REPLAY_ELSE = ("refuse", "answer")


class Sources:
    """What one simulator was given; read when it is made. Any thread may use it.

    Raises ConfigurationError with all problems of the first of them that cannot be used, ValueError for ``replay_else``.
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
        self._replay = None if replay is None else Replay(replay, otherwise=replay_else == "answer")
        self._recorded = None if recorded is None else Recordings(recorded, TYPES)

    def route(self, path: str) -> tuple[Dialect, str] | None:
        """Who answers under a path, and what follows its base."""
        return (self._recorded and self._recorded.route(path)) or route(path)

    def tell(self, call: Call) -> None:
        """Lets a request know whom to ask for its answer."""
        if self._replay is not None:
            call.recall = self._replay.find
        if self._answers is not None:
            call.look_up = self._answers.find

    def bases(self, root: str) -> dict[str, tuple[str, str]]:
        """Of each recorded exchange, by its name: the type to configure, and the base URL."""
        return {recording.title: (recording.type, root + recording.base) for recording in self._recorded or ()}
