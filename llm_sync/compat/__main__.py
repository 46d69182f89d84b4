"""``python -m llm_sync.compat [--only openai] SCRIPT [ARGS …]``: as ``llm-sync run-script``, without the command line."""

from __future__ import annotations

import sys

from llm_sync.compat.redirect import finder, script

_USAGE = f"usage: python -m llm_sync.compat [--only {'|'.join(finder.ORIGINALS)}]... SCRIPT [ARGS ...]"


def main(arguments: list[str]) -> int:
    """Run the script that ``arguments`` name and return its exit status."""
    only: list[str] = []
    while arguments[:1] == ["--only"]:
        only += arguments[1:2]
        arguments = arguments[2:]
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] != "-") or set(only) - set(finder.ORIGINALS):
        sys.stderr.write(f"{_USAGE}\n")
        return script.NOT_FOUND
    return script.run(arguments[0], arguments[1:], only)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
