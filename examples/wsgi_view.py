#!/usr/bin/env python3
"""A WSGI view: one client per process, created before the server forks, and used by all threads.

    gunicorn --preload --workers 4 --threads 8 --chdir examples wsgi_view:application
    curl --data 'Why is the sky blue?' http://127.0.0.1:8000/

Started directly, it serves with the standard library: python examples/wsgi_view.py
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

MAX_BYTES = 20_000  # of a question
client = LLMClient.from_config()  # opens no connection and starts no thread yet: that happens in the worker process


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a POSTed question as JSON; every error becomes an HTTP status that tells the caller what to do."""
    headers: list[tuple[str, str]] = []
    if environ["REQUEST_METHOD"] != "POST":
        status, content = "405 Method Not Allowed", {"error": "POST a question"}
    elif int(environ.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
        status, content = "413 Content Too Large", {"error": f"a question has at most {MAX_BYTES} bytes"}
    else:
        question = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode("utf-8", "replace")
        try:
            # Less than the server's own timeout, time in the queue included: the visitor gets an answer or an error.
            response = client.generate(question, max_tokens=300, deadline=20, wait_timeout=25)
            status, content = "200 OK", {"answer": response.text, "model": response.model}
        except InvalidRequestError as error:
            status, content = "400 Bad Request", {"error": error.message}
        except (RateLimitError, QueueFullError) as error:
            status, content = "503 Service Unavailable", {"error": "busy, try again soon"}
            headers.append(("Retry-After", str(int(error.retry_after or 5))))
        except RequestTimeoutError:
            status, content = "504 Gateway Timeout", {"error": "the model takes too long"}
        except UnusableAnswerError:
            status, content = "422 Unprocessable Content", {"error": "the model gave no answer to that"}
        except LLMConnectorError:
            status, content = "502 Bad Gateway", {"error": "the model cannot be reached"}  # details belong in the log
    body = json.dumps(content).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]


if __name__ == "__main__":
    with make_server("127.0.0.1", 8000, application) as server:
        print("serving on http://127.0.0.1:8000/")
        server.serve_forever()
