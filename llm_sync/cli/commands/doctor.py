"""``llm-sync doctor``: why a request is not answered here, and what to do about it. Changes nothing."""

from __future__ import annotations

import argparse
import json

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import open_output
from llm_sync.cli.doctor import configuration, keys, machine, network
from llm_sync.cli.doctor.findings import FAIL, Finding, worst_first
from llm_sync.config import LLMConfig

TIMEOUT_S = 10.0  # for each step on the network


def run(args: argparse.Namespace) -> int:
    """Check everything, print failures first, return the exit status of the first failure."""
    findings = worst_first(_findings(args))
    with open_output(None) as output:
        for finding in findings:
            if args.json:
                output.write(json.dumps(finding.to_dict(), ensure_ascii=False))
            else:
                output.write_line(str(finding))
    first = findings[0]
    return first.status if first.level == FAIL else exit_codes.ANSWERED


def _findings(args: argparse.Namespace) -> list[Finding]:
    """Everything, causes before what follows of them."""
    findings: list[Finding] = []
    config = configuration.load(args, args.name, findings)
    if config is not None:
        findings.extend(configuration.check_telemetry(config))
    broken = any(finding.level == FAIL for finding in findings)  # a configuration that is not trusted reaches nobody
    if config is not None and not broken:
        findings.extend(_of_providers(args, config))
    findings.extend(machine.check(config))
    return findings


def _of_providers(args: argparse.Namespace, config: LLMConfig) -> list[Finding]:
    timeout = args.timeout or TIMEOUT_S
    findings = list(keys.check(config))
    without_key = {finding.subject for finding in findings if finding.status}
    findings.extend(network.check(config, online=args.online or args.ask, timeout=timeout))
    unreachable = {finding.subject for finding in findings if finding.level == FAIL}
    usable = [name for name in config.providers if name not in without_key | unreachable]
    if args.ask and usable:
        from llm_sync.cli.doctor import questions

        findings.extend(questions.check(config, usable, timeout))
    return findings
