#!/usr/bin/env python3
"""Answers a prompt for each row of a CSV file, of any length, and writes the same file with the answers.

    python examples/batch_from_csv.py words.csv answers.csv "Translate {word} into {language}. Only the word."

The names in braces are columns. The answers are stored in answers.csv.jsonl: if you run it again after it was killed, or after
rows were added, rows that have an answer are not sent, or billed, a second time.
"""

import csv
import json
import sys

from llm_sync import LLMClient, LLMConnectorError, batch


def main(source: str, target: str, template: str) -> int:
    """Ask for each row; returns 1 if a row has an error."""
    records = f"{target}.jsonl"
    try:
        with LLMClient.from_config() as client:
            summary = batch.run(source, records, client, template=template, fields={"max_tokens": 100, "temperature": 0})
    except (LLMConnectorError, OSError) as error:
        sys.exit(str(error))
    if not summary.complete:
        sys.exit(f"{summary.tally.answered} of {summary.requests} rows are answered; run it again to continue")
    with (
        open(source, newline="", encoding="utf-8-sig") as rows,
        open(records, encoding="utf-8") as outcomes,
        open(target, "w", newline="", encoding="utf-8") as output,
    ):
        reader = csv.DictReader(rows)
        writer = csv.DictWriter(output, [*(reader.fieldnames or ()), "answer", "error"])
        writer.writeheader()
        for row, record in zip(reader, map(json.loads, outcomes), strict=True):
            answer, error = record["response"], record["error"]
            writer.writerow({**row, "answer": answer["text"] if answer else "", "error": error["message"] if error else ""})
    print(f"{target}: {summary.sent} rows were sent; {summary.requests - summary.tally.answered} have an error", file=sys.stderr)
    return int(summary.tally.answered < summary.requests)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} IN.csv OUT.csv TEMPLATE")
    sys.exit(main(*sys.argv[1:]))
