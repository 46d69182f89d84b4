"""Dumps, pickling and copying."""

import copy
import pickle

import litellm

response = litellm.completion(model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "Say hello"}])
dumped = response.model_dump()
print(
    dumped["choices"][0]["message"]["content"], dumped["usage"]["total_tokens"], response.json()["model"], response.get("nothing")
)
for made in (pickle.loads(pickle.dumps(response)), copy.copy(response), copy.deepcopy(response)):
    print(type(made).__name__, made.choices[0].message.content == response.choices[0].message.content)
