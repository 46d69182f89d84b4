"""The options of ``llm-sync completion``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

_EXAMPLES = """\
Installed under /usr or ~/.local, the completions are where shells look for them. For an environment elsewhere, add the line for \
your shell to ~/.bashrc, to ~/.zshrc (after compinit) or to ~/.config/fish/config.fish:

examples:
  eval "$(llm-sync completion bash)"
  eval "$(llm-sync completion zsh)"
  llm-sync completion fish | source
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(3, 4, 5, 6, 7, 8, 9, 10, good='the script is printed')}"
