"""The options of ``llm-sync completion``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser

_EXAMPLES = """\
Installed under /usr or ~/.local, the completions are where shells look for them. For an environment elsewhere:

bash, in ~/.bashrc:
  eval "$(llm-sync completion bash)"
zsh, in ~/.zshrc, after compinit:
  eval "$(llm-sync completion zsh)"
fish, in ~/.config/fish/config.fish:
  llm-sync completion fish | source
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(3, 4, 5, 6, 7, 8, 9, 10, good='they are printed')}"
