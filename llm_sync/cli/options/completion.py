"""The options of ``llm-sync completion``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser

_EXAMPLES = """\
An installation brings them along: shells find them where its share folder is on their path, as /usr/share and ~/.local/share \
are. Where it is not, say so in the shell's start-up file.

examples:
  eval "$(llm-sync completion bash)"
  llm-sync completion zsh >~/.zfunc/_llm-sync
  llm-sync completion fish | source
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(3, 4, 5, 6, 7, 8, 9, 10, good='they are printed')}"
