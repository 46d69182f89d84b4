"""Three choices, log probabilities, and the settings there are"""

import openai

client = openai.OpenAI()
settings = {
    "max_completion_tokens": 90,
    "seed": 7,
    "stop": ["END"],
    "user": "ada",
    "metadata": {"a": "b"},
    "store": False,
    "service_tier": "auto",
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logprobs": True,
    "top_logprobs": 2,
    "temperature": None,
    "tools": openai.NOT_GIVEN,
    "max_tokens": openai.omit,
    "extra_headers": {"X-Mine": "1"},
    "timeout": 30,
}
for n in (None, 1, 3):
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Count"}], n=n, **settings)
    print([(choice.index, choice.finish_reason, choice.message.role, choice.logprobs is None) for choice in answer.choices])
    print(answer.object, answer.service_tier, answer.system_fingerprint, answer.usage.total_tokens > 0)
    print(sorted(answer.model_dump()), sorted(answer.to_dict()), sorted(answer.model_dump()["choices"][0]))
