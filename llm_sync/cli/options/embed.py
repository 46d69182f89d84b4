"""The options of ``llm-sync embed``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import ABOVE_0, SECONDS, file_name, setting, text, visible
from llm_sync.cli.options.exit_statuses import exit_statuses
from llm_sync.cli.options.global_options import add_configuration_option
from llm_sync.cli.options.request_options import add_sending_groups

_EXAMPLES = """\
Without TEXT, each line of standard input is a text. Every text gets one JSON object, in the order of the texts, with the vector \
at response.embedding, or an error. With -o FILE the vectors go into a file; FILE.part is the journal of an unfinished run: \
after a kill or Ctrl-C, the same command resumes from it. See docs/embeddings.md.

examples:
  llm-sync embed "a cat" "a dog" \\
    -m openai/text-embedding-3-small
  llm-sync embed <texts.txt \\
    -m gemini/gemini-embedding-001
  llm-sync embed --input docs.jsonl \\
    -m openai/text-embedding-3-small \\
    -o vectors.npy
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "texts", nargs="*", type=text, metavar="TEXT", help="a text; a single - reads the lines of standard input instead"
    )
    add_configuration_option(parser)
    parser.add_argument("-m", "--model", required=True, type=visible, metavar="PROVIDER/MODEL", help="the embedding model to ask")
    source = parser.add_argument_group("input and output")
    source.add_argument(
        "--input",
        type=file_name,
        metavar="FILE",
        help="read the texts from FILE (.gz: gzip), - for standard input: each line is a text; if FILE ends in .jsonl, .ndjson "
        "or .json, each is an object with text and id",
    )
    source.add_argument(
        "--jsonl", action="store_true", help="read each line as an object with text and id, whatever the file's name"
    )
    source.add_argument(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="write the vectors to FILE (.gz: gzip) as JSON Lines; with the extension .npy as a matrix for numpy, beside the "
        "JSON Lines that a run resumes from (the same name with .jsonl)",
    )
    _add_run_options(parser)
    _add_request_options(parser)
    add_sending_groups(parser)
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(10)}"


def _add_run_options(parser: Parser) -> None:
    """What holds for a run with -o."""
    source = parser.add_argument_group("with -o")
    source.add_argument("--json", action="store_true", help="print the summary as one JSON object, and messages as JSON")
    source.add_argument("--restart", action="store_true", help="start over; the old journal is renamed to FILE.part.old")
    source.add_argument(
        "--skip-bad-lines",
        action="store_true",
        help="count lines that have no vector as failures and send the others; without this option nothing is sent",
    )
    source.add_argument(
        "--retry-failed",
        action="store_true",
        help="send all failed texts again, not only those that may succeed now",
    )
    source.add_argument(
        "--max-cool-down",
        type=SECONDS,
        metavar="SECONDS",
        help="the longest pause that a provider may ask for; for a longer one its texts fail (86400)",
    )


def _add_request_options(parser: Parser) -> None:
    """What is asked for."""
    group = parser.add_argument_group("request")
    group.add_argument("--dimensions", type=ABOVE_0, metavar="N", help="the length of the vectors, where the model has a choice")
    group.add_argument(
        "--input-type",
        type=visible,
        metavar="WORD",
        help="what the vectors are for: query, document, similarity, classification, clustering, or a word of the provider's own",
    )
    group.add_argument(
        "--texts-per-request", type=ABOVE_0, metavar="N", help="send at most N texts in a request (as many as the provider takes)"
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        dest="settings",
        metavar="KEY=VALUE",
        help="send a provider-specific parameter, such as user=me; may be repeated",
    )
