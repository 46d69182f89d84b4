#!/usr/bin/env python3
"""Structured output: turns a letter into a dictionary that matches a JSON Schema. Needs: pip install 'llm-sync[schema]'

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
    "additionalProperties": False,  # OpenAI requires closed objects, with all properties required
}


def main(path: str) -> int:
    """Print the order as JSON; returns 1 if the answer does not match the schema."""
    with open(path, encoding="utf-8") as file:
        letter = file.read()
    try:
        response = llm_sync.generate(letter, system_prompt="Extract the order from this letter.", response_schema=ORDER)
    except ResponseValidationError as error:  # all wrong fields, each with its path
        for field in error.fields:
            print(field, file=sys.stderr)
        return 1
    order = response.metadata["parsed"]  # matches the schema: it was checked
    print(json.dumps(order, indent=2))
    print(f"{order['customer']} wants {sum(item['pieces'] for item in order['items'])} pieces", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LETTER")
    sys.exit(main(sys.argv[1]))
