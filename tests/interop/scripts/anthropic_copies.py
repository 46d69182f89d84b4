"""Dumps, pickling and copying."""

import copy
import json
import pickle

from anthropic import Anthropic

message = Anthropic().messages.create(
    model="claude-haiku-4-5", max_tokens=300, messages=[{"role": "user", "content": "Say hello"}]
)
plain = message.to_dict()
plain["id"] = None
print(json.dumps(plain, sort_keys=True))
print(message.model_dump()["content"][0]["citations"], sorted(message.model_dump(include={"model", "role"})))
for made in (pickle.loads(pickle.dumps(message)), copy.copy(message), copy.deepcopy(message)):
    print(type(made).__name__, made == message, type(made.content[0]).__name__)
