#!/usr/bin/env python3
"""A cron job: reads a log, has it summed up, prints the report, and ends with a status that cron's mail makes sense of.

    python examples/nightly_report.py /var/log/app.log

In a crontab, where the environment is bare, name the configuration and let it hold `api_key_file`:

    15 6 * * * /opt/report/bin/python /opt/report/nightly_report.py /var/log/app.log >>/var/log/report.txt
"""

import sys

import llm_sync
from llm_sync import AuthenticationError, ConfigurationError, LLMConnectorError

QUESTION = "Sum up this log for whoever is on duty, in five sentences. Begin with what needs a person."
MOST = 50_000  # characters: the end of a long log is what matters


def main(path: str) -> int:
    """Print the report; 0, or 75 (try again later), or 78 (somebody has to fix the configuration)."""
    with open(path, encoding="utf-8", errors="replace") as file:
        log = file.read()[-MOST:]
    if not log.strip():
        print("Nothing was logged.")
        return 0
    try:
        # The job may take ten minutes, whatever goes wrong on the way; then cron tries again tomorrow.
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
