"""model_dump, to_dict, JSON and what is left out of them."""

import json

from openai import OpenAI

completion = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello"}])
plain = completion.to_dict()
plain["id"] = plain["created"] = None
print(json.dumps(plain, sort_keys=True))
dumped = completion.model_dump()
print(dumped["choices"][0]["message"]["tool_calls"], dumped["usage"]["total_tokens"], type(dumped["choices"][0]).__name__)
print(sorted(completion.model_dump(exclude_unset=True)), sorted(completion.model_dump(include={"model", "object"})))
print(
    json.loads(completion.model_dump_json())["choices"] == dumped["choices"],
    json.loads(completion.to_json()) == completion.to_dict(),
)
