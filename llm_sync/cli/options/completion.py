"""The options of ``llm-sync completion``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
If llm-sync is installed under /usr or ~/.local, shells find the completions by themselves. Otherwise add the line for your \
shell to ~/.bashrc, to ~/.zshrc (after compinit) or to ~/.config/fish/config.fish:

examples:
  eval "$(llm-sync completion bash)"
  eval "$(llm-sync completion zsh)"
  llm-sync completion fish | source
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(3, *NO_REQUEST, good='the script is printed')}"
