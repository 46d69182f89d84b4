"""Eight threads, a retry loop of the script's own, and the module's own client"""

from concurrent.futures import ThreadPoolExecutor

import openai

client = openai.OpenAI(max_retries=0)


def ask(number: int) -> str:
    """One answer."""
    messages = [{"role": "user", "content": f"Repeat: {number}"}]
    return client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content


with ThreadPoolExecutor(8) as pool:
    print([str(number) in text for number, text in enumerate(pool.map(ask, range(12)))])
for attempt in range(3):
    try:
        client.chat.completions.create(model="status-429", messages=[{"role": "user", "content": "Say hello"}])
    except (openai.RateLimitError, openai.APITimeoutError, openai.APIConnectionError) as error:
        response = error.response
        print(attempt, response.status_code, response.is_error, response.reason_phrase, response.json()["error"]["code"])
openai.timeout = 20
print(openai.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]).choices[0].index)
print(openai.models.list().data[0].object, openai.responses.create(model="gpt-4o", input="Hi").status)
