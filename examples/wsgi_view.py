#!/usr/bin/env python3
"""A WSGI view: one client for each process, made before the server forks, used by all of its threads.

    gunicorn --preload --workers 4 --threads 8 --chdir examples wsgi_view:application
    curl --data 'Why is the sky blue?' http://127.0.0.1:8000/

Run by itself, it serves with the standard library: python examples/wsgi_view.py
"""

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server

from llm_sync import (
    InvalidRequestError,
    LLMClient,
    LLMConnectorError,
    QueueFullError,
    RateLimitError,
    RequestTimeoutError,
    UnusableAnswerError,
)

LONGEST = 20_000  # bytes of a question
client = LLMClient.from_config()  # opens no connection and starts no thread yet: both begin in the worker process


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a POSTed question as JSON; every error becomes the status that a caller can act on."""
    headers: list[tuple[str, str]] = []
    if environ["REQUEST_METHOD"] != "POST":
        status, told = "405 Method Not Allowed", {"error": "POST a question"}
    elif int(environ.get("CONTENT_LENGTH") or 0) > LONGEST:
        status, told = "413 Content Too Large", {"error": f"a question has at most {LONGEST} bytes"}
    else:
        question = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode("utf-8", "replace")
        try:
            # Shorter than the server's own time-out, queueing included: the visitor gets an answer or an apology.
            response = client.generate(question, max_tokens=300, deadline=20, wait_timeout=25)
            status, told = "200 OK", {"answer": response.text, "model": response.model}
        except InvalidRequestError as error:
            status, told = "400 Bad Request", {"error": error.message}
        except (RateLimitError, QueueFullError) as error:
            status, told = "503 Service Unavailable", {"error": "busy, try again soon"}
            headers.append(("Retry-After", str(int(error.retry_after or 5))))
        except RequestTimeoutError:
            status, told = "504 Gateway Timeout", {"error": "the model takes too long"}
        except UnusableAnswerError:
            status, told = "422 Unprocessable Content", {"error": "the model gave no answer to that"}
        except LLMConnectorError:
            status, told = "502 Bad Gateway", {"error": "the model cannot be reached"}  # details belong in the log
    body = json.dumps(told).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]


if __name__ == "__main__":
    with make_server("127.0.0.1", 8000, application) as server:
        print("serving on http://127.0.0.1:8000/")
        server.serve_forever()
