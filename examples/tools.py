#!/usr/bin/env python3
"""A model that looks up files: it calls two functions of this program until it can answer.

    python examples/tools.py "Which of these files is the longest?" docs

It may list and read files below the folder, and nothing else. The cost limit needs prices: pip install 'llm-sync[prices]'.
"""

import sys
from pathlib import Path

from llm_sync import LLMClient, LLMConnectorError, ModelRequest


def make_tools(folder: Path):
    """The two tools, for files below ``folder``."""

    def list_files(pattern: str = "*") -> list[str]:
        """Lists the files below the folder.

        Args:
            pattern: a wildcard, such as *.md
        """
        return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file())[:200]

    def read_file(name: str) -> str:
        """Reads a file, as list_files names it."""
        path = (folder / name).resolve()
        if folder not in path.parents:
            raise ValueError("this file is not below the folder")
        return path.read_text(encoding="utf-8", errors="replace")

    return [list_files, read_file]


def main(question: str, folder: str) -> int:
    """Print the calls and the answer; returns an exit status."""
    request = ModelRequest(question, system_prompt="Answer from the files. Be brief.", max_tokens=1000)
    with LLMClient.from_config() as client:
        try:
            run = client.run_tools(request, make_tools(Path(folder).resolve()), max_rounds=12, tool_timeout=10)
        except LLMConnectorError as error:
            print(error, file=sys.stderr)
            run = error.tool_run
    for number, each in enumerate(run.rounds if run else (), 1):
        for result in each.results:
            call, outcome = result.call, result.error or f"{len(result.content)} characters"
            print(f"{number}. {call.name}({call.raw_arguments}): {outcome}", file=sys.stderr)
    print(run.text if run else "")
    return 0 if run and run.is_finished else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} QUESTION FOLDER")
    sys.exit(main(sys.argv[1], sys.argv[2]))
