"""Structured output."""

import json

from openai import OpenAI

schema = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
for form in ({"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}, {"type": "json_object"}):
    completion = OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Name a city, as JSON"}], response_format=form
    )
    print(sorted(json.loads(completion.choices[0].message.content).items()), completion.choices[0].finish_reason)
