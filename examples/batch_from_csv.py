#!/usr/bin/env python3
"""A CSV file in, the same file with answers out, in its order, however long it is.

    python examples/batch_from_csv.py words.csv answers.csv "Translate {word} into {language}. Only the word."

The names in braces are columns. Rows go through a window: memory does not grow with the file. Run it again after it was
interrupted, and the rows that have answers already are not asked, nor paid, a second time.
"""

import csv
import itertools
import os
import string
import sys

from llm_sync import LLMClient, LLMConnectorError, ModelRequest


def done(path: str) -> int:
    """How many rows an earlier run has written."""
    if not os.path.exists(path):
        return 0
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


def main(source: str, target: str, template: str) -> int:
    """Ask row by row; 1 when a row has an error."""
    skip, failed = done(target), 0
    with open(source, newline="", encoding="utf-8") as file, open(target, "a", newline="", encoding="utf-8") as output:
        rows = csv.DictReader(file)
        columns = list(rows.fieldnames or ())
        unknown = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None} - set(columns)
        if unknown:
            sys.exit(f"{source} has no column {', '.join(sorted(unknown))}; it has {', '.join(columns)}")
        writer = csv.DictWriter(output, [*columns, "answer", "error"])
        if not skip:
            writer.writeheader()
        asked, kept = itertools.tee(itertools.islice(rows, skip, None))
        requests = (ModelRequest(template.format_map(row), max_tokens=100, temperature=0) for row in asked)
        with LLMClient.from_config() as client:
            for row, answer in zip(kept, client.map(requests, return_exceptions=True), strict=True):
                wrong = isinstance(answer, LLMConnectorError)
                failed += wrong
                writer.writerow({**row, "answer": "" if wrong else answer.text, "error": str(answer) if wrong else ""})
                output.flush()  # an answer that is paid for is kept, whatever happens next
    print(f"{target}: {skip} rows were there; of the new ones {failed} have an error", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} IN.csv OUT.csv TEMPLATE")
    sys.exit(main(*sys.argv[1:]))
