"""A clock that stands still (freezegun and the like replace time.time and time.monotonic) ends no wait late."""

from __future__ import annotations

import pytest
from endings_apparatus import PATIENCE_S

FREEZE = """
def freeze():
    time.time = lambda: 1_700_000_000.0
    time.monotonic = time.perf_counter = lambda: 1_700_000_000.0
"""
WORK = """
client = LLMClient.from_config(CONFIG)
say(outcome(lambda: client.generate("later")))
say(outcome(lambda: client.generate("waits", "a/m", wait_timeout=0.2)))
say(outcome(lambda: client.generate("paced", "b/m")), outcome(lambda: client.generate("paced too", "b/m")))
client.close(cancel_pending=True, grace=0.1)
say("closed")
"""


@pytest.mark.parametrize("when", ["before the import", "after the import", "after the client is made"])
def test_a_frozen_clock_ends_in_time(serve, program, when):
    """A 429 is retried after its Retry-After, the pace moves on, wait_timeout passes, close with a grace returns."""

    def script(peer, seen):
        if seen.text == "later" and peer.server.texts().count("later") == 1:
            peer.reply(b"{}", "429 Too Many", ["Retry-After: 0.05"])
            return True
        if seen.text == "waits":
            peer.silence()
            return True
        return None

    upstream = serve(script)
    body = {
        "before the import": FREEZE
        + "freeze()\nfor name in [n for n in sys.modules if n.startswith('llm_sync')]: del sys.modules[name]\n"
        "from llm_sync import LLMClient\n" + WORK,
        "after the import": FREEZE + "freeze()\n" + WORK,
        "after the client is made": FREEZE + WORK.replace("(CONFIG)\n", "(CONFIG)\nfreeze()\n"),
    }[when]
    running = program(upstream, body, requests_per_minute=1200)
    assert running.finish(PATIENCE_S) == 0, running.errors
    assert running.lines == ["echo later", "RequestTimeoutError", "echo paced echo paced too", "closed"]
