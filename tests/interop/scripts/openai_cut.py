"""An answer that the limit cuts, in both APIs."""

from openai import OpenAI

client = OpenAI()
completion = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Tell me all"}], max_tokens=4)
print(completion.choices[0].finish_reason, completion.choices[0].message.content, completion.usage.completion_tokens)
response = client.responses.create(model="gpt-4o", input="Tell me all", max_output_tokens=16)
print(response.status, response.incomplete_details.reason, response.output_text)
