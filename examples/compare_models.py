#!/usr/bin/env python3
"""Asks several models the same question at once, and prints their answers, times and costs.

    python examples/compare_models.py "Why is the sky blue?" openai/gpt-4o-mini anthropic/claude-haiku-4-5

Without models, all models in the configuration are asked. Costs need `pricing` there (see config/llms/research.yaml).
"""

import sys

from llm_sync import LLMClient, LLMConnectorError, ModelRequest


def main(question: str, models: list[str]) -> int:
    """Print a table in the order of the models; returns the number of models without an answer."""
    failed = 0
    with LLMClient.from_config() as client:
        models = models or [
            f"{name}/{entry.name}" for name, provider in client.config.providers.items() for entry in provider.models
        ]
        requests = [ModelRequest(question, model, max_tokens=300, temperature=0) for model in models]
        answers = client.generate_responses_concurrent(requests, return_exceptions=True)
    print(f"{'model':44} {'seconds':>8} {'tokens':>7} {'USD':>9}")
    for model, answer in zip(models, answers, strict=True):
        if isinstance(answer, LLMConnectorError):
            failed += 1
            print(f"{model:44} {type(answer).__name__}: {answer.message}")
            continue
        cost = "?" if answer.cost_estimate is None else f"{answer.cost_estimate:.6f}"
        print(f"{model:44} {answer.latency_ms / 1000:8.2f} {answer.token_count or '?':>7} {cost:>9}")
        print(f"    {answer.text}{' [cut short]' if answer.truncated else ''}")
        for adjustment in answer.adjustments:
            print(f"    ({adjustment})")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} QUESTION [PROVIDER/MODEL …]")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
