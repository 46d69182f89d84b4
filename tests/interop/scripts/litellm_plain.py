"""One question to two providers."""

from litellm import completion

for model in ("openai/gpt-4o-mini", "gpt-4o-mini", "anthropic/claude-haiku-4-5"):
    response = completion(model=model, messages=[{"role": "user", "content": "Say hello"}], max_tokens=300)
    print(response.choices[0].message.content, response["choices"][0]["message"]["role"], response.choices[0].finish_reason)
    print(
        response.usage.prompt_tokens,
        response.usage.completion_tokens,
        response.usage.total_tokens,
        response.model,
        response.object,
    )
