#!/usr/bin/env python3
"""Structured output: a letter in, a checked dictionary out. Needs: pip install 'llm-sync[schema]'

python examples/structured_output.py letter.txt
"""

import json
import sys

import llm_sync
from llm_sync import ResponseValidationError

ORDER = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "urgent": {"type": "boolean"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"article": {"type": "string"}, "pieces": {"type": "integer"}},
                "required": ["article", "pieces"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["customer", "urgent", "items"],
    "additionalProperties": False,  # OpenAI wants every object closed, and every property required
}


def main(path: str) -> int:
    """Print the order as JSON; 1 when the model's answer is not of the form asked for."""
    with open(path, encoding="utf-8") as file:
        letter = file.read()
    try:
        response = llm_sync.generate(letter, system_prompt="Read the order out of this letter.", response_schema=ORDER)
    except ResponseValidationError as error:  # every field that is wrong, each with its path
        for field in error.fields:
            print(field, file=sys.stderr)
        return 1
    order = response.metadata["parsed"]  # has what the schema requires: it was checked against it
    print(json.dumps(order, indent=2))
    print(f"{order['customer']} wants {sum(item['pieces'] for item in order['items'])} pieces", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LETTER")
    sys.exit(main(sys.argv[1]))
