"""How deep and how busy one call is: own frames from the public call to the socket, and own Python calls of one ``generate``.

A frame is *own* when its file lies in the installed ``llm_sync``. Frames are counted at the moment the worker hands bytes to the
socket: those of the caller's thread, which waits, plus those of the worker's thread. Counted for the first request of a client
(a connection is opened) and for one over a kept connection. Nothing is timed, so a busy machine changes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
import ways

MAX_FRAMES = 12
MAX_CALLS = 240  # release 0.2.0: 258
_SENDS = ("send", "sendall", "sendmsg")


class Probe:
    """A profile function for every thread: takes stacks when a socket sends, counts own calls while ``counting``."""

    def __init__(self, package: str) -> None:
        self._package = package + os.sep
        self._caller = threading.get_ident()
        self.watching = False
        self.counting = False
        self.stacks: tuple[list[str], list[str]] | None = None
        self.calls: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """What ``sys.setprofile`` and ``threading.setprofile`` call."""
        if event == "call":
            if self.counting and self._is_own(frame):
                self.calls[_named(frame, self._package)] += 1
        elif event == "c_call" and self.watching and getattr(argument, "__name__", "") in _SENDS and _is_socket(argument):
            self.watching = False
            self.stacks = self._waiting_caller(), self._own(frame)

    def _waiting_caller(self) -> list[str]:
        """The caller's own frames, once it stands still: the worker may be at the socket before the caller waits."""
        seen: list[str] = []
        same = 0
        while same < 10:
            time.sleep(0.01)
            now = self._own(sys._current_frames()[self._caller])  # noqa: SLF001  (there is no other way to look at a thread)
            same = same + 1 if now == seen else 0
            seen = now
        return seen

    def _own(self, frame: FrameType | None) -> list[str]:
        """The own frames of a stack, the outermost first."""
        found = []
        while frame is not None:
            if self._is_own(frame):
                found.append(f"{_named(frame, self._package)}:{frame.f_lineno}")
            frame = frame.f_back
        return found[::-1]

    def _is_own(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self._package)


def _named(frame: FrameType, package: str) -> str:
    code = frame.f_code
    return f"{code.co_filename.removeprefix(package)} {getattr(code, 'co_qualname', code.co_name)}"


def _is_socket(function: Any) -> bool:
    return "ocket" in type(getattr(function, "__self__", None)).__name__


def measure() -> dict[str, Any]:
    """Stacks of the first request and of one over a kept connection, and the own calls of one such request."""
    import llm_sync

    probe = Probe(os.path.dirname(llm_sync.__file__))
    with measuring.far_end() as places:
        threading.setprofile(probe)  # for the worker, which starts with the first request
        client = ways.llm_sync_client(ways.llm_sync_config({"loopback": f"{places['plain']}/1024/0"}))
        found: dict[str, Any] = {}
        for name in ("first", "kept"):
            probe.watching = True
            client.generate(ways.PROMPT)
            assert probe.stacks  # noqa: S101
            found[name] = {"caller": probe.stacks[0], "worker": probe.stacks[1]}
        for _ in range(50):
            client.generate(ways.PROMPT)
        rounds = []
        for _ in range(5):
            probe.calls.clear()
            sys.setprofile(probe)
            probe.counting = True
            client.generate(ways.PROMPT)
            time.sleep(0.1)  # the worker's last steps come after the answer
            probe.counting = False
            sys.setprofile(None)
            rounds.append(probe.calls.copy())
        client.close()
    threading.setprofile(None)  # type: ignore[arg-type]
    least = min(rounds, key=lambda calls: calls.total())
    found["calls"] = {"total": least.total(), "by_function": dict(least.most_common())}
    return found


def main() -> int:
    """Print what is measured; the exit status says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-v", action="store_true", help="show every frame and every function that is called")
    arguments = parser.parse_args()
    found = measure()
    for name in ("first", "kept"):
        stacks = found[name]
        if arguments.v:
            for side in ("caller", "worker"):
                print(f"{name} request, {side}:")
                print("".join(f"  {frame}\n" for frame in stacks[side]), end="")
    if arguments.v:
        for name, count in found["calls"]["by_function"].items():
            print(f"{count:5} {name}")
    depth = {name: len(found[name]["caller"]) + len(found[name]["worker"]) for name in ("first", "kept")}
    rows = [(name, len(found[name]["caller"]), len(found[name]["worker"]), depth[name]) for name in depth]
    measuring.table(["request", "caller's frames", "worker's frames", "together"], rows)
    checks = [
        *(measuring.bound(f"own frames to the socket, {name} request", depth[name], MAX_FRAMES) for name in depth),
        measuring.bound("own Python calls of one generate", found["calls"]["total"], MAX_CALLS),
    ]
    measuring.show_bounds(checks)
    measuring.write("frames", {**measuring.facts(), "frames": found, "bounds": checks})
    return 0 if all(check["met"] for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
