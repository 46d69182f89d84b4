"""The client of Azure OpenAI, wrongly made and unreachable"""

import openai

for given in ({"azure_endpoint": "http://127.0.0.1:9"}, {"api_version": "2024-10-21"}):
    try:
        openai.AzureOpenAI(api_key="k" * 20, **given)
    except ValueError as error:
        print(type(error).__name__)
client = openai.AzureOpenAI(
    api_key="k" * 20, azure_endpoint="http://127.0.0.1:9", api_version="2024-10-21", azure_deployment="mine", max_retries=0
)
try:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Say hello"}])
except openai.APIConnectionError as error:
    print(type(error).__name__, error)
