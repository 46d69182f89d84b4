#!/usr/bin/env python3
"""A cron job: summarises a log, prints the report, and exits with a status that distinguishes the kinds of failure.

    python examples/nightly_report.py /var/log/app.log

A cron job has an almost empty environment, so put `api_key_file` into its configuration:

    15 6 * * * /opt/report/bin/python /opt/report/nightly_report.py /var/log/app.log >>/var/log/report.txt
"""

import sys

import llm_sync
from llm_sync import AuthenticationError, ConfigurationError, LLMConnectorError

QUESTION = "Summarise this log for the engineer on duty, in five sentences. Begin with what needs action."
MAX_CHARACTERS = 50_000  # of a long log, the end is what matters


def main(path: str) -> int:
    """Print the report; returns 0, 75 (try again later) or 78 (the configuration must be fixed)."""
    with open(path, encoding="utf-8", errors="replace") as file:
        log = file.read()[-MAX_CHARACTERS:]
    if not log.strip():
        print("Nothing was logged.")
        return 0
    try:
        # The job may take ten minutes, retries included; otherwise cron tries again tomorrow.
        response = llm_sync.generate(log, system_prompt=QUESTION, max_tokens=500, deadline=600)
    except (AuthenticationError, ConfigurationError) as error:
        print(f"nightly_report: {error}", file=sys.stderr)
        return 78
    except LLMConnectorError as error:
        print(f"nightly_report: {error}", file=sys.stderr)
        return 75
    print(response.text)
    if response.truncated:
        print("(The report was cut short: raise max_tokens.)")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LOG")
    sys.exit(main(sys.argv[1]))
