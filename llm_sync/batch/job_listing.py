"""The open jobs of an unfinished batch, by its journal, as their providers show them now; and how they are cancelled.

Answers that providers make in the background are counted, too.
"""

from __future__ import annotations

import os

from llm_sync.batch.job_desk import view_of
from llm_sync.batch.summary import BACKGROUND, JobView
from llm_sync.client.client import LLMClient
from llm_sync.errors import ConfigurationError, LLMConnectorError, ModelNotFoundError
from llm_sync.events import logger
from llm_sync.jobs.choice import batch_wire
from llm_sync.jobs.door import JobDoor
from llm_sync.jobs.job import CREATED, Job
from llm_sync.jobs.wire import BatchWire
from llm_sync.runtime.cancellation import CallControl

_log = logger("batch")


def open_jobs(output: str | os.PathLike[str], client: LLMClient, *, cancel: bool = False) -> list[JobView]:
    """The open jobs of the batch with this output, each looked at once; with ``cancel`` each is cancelled first.

    Behind them, for each model, its answers in the background that nobody has fetched: ``id`` is BACKGROUND. They are not
    looked at, and not cancelled. A batch may run meanwhile. What was answered before a job's end is billed, and the same batch
    collects it. Empty for a batch that has no journal. Raises OSError; LLMConnectorError if a provider does not answer about a
    job.
    """
    from llm_sync.batch.state.background_notes import unfetched_answers
    from llm_sync.batch.state.job_notes import jobs_of

    part = f"{os.path.realpath(os.fspath(output))}.part"
    if not os.path.exists(part):
        return []
    jobs = [job for job in jobs_of(part) if job.is_open]
    wires: dict[str, BatchWire] = {}
    for job in jobs:
        if job.step == CREATED:
            wire = wires.get(job.provider) or wires.setdefault(job.provider, _wire(client, job))
            _look(wire, job, cancel=cancel)
    answers = unfetched_answers(part).items()
    return [*map(view_of, jobs), *(JobView(BACKGROUND, *model, "", number, 0, "not fetched") for model, number in answers)]


def _wire(client: LLMClient, job: Job) -> BatchWire:
    if job.provider not in client.dispatcher.config.providers:
        raise ConfigurationError(
            f"the batch has a job at provider {job.provider!r}, which the configuration does not have",
            guidance="Name the configuration that the batch was run with (--config).",
        )
    endpoint = client.dispatcher.endpoint(job.provider)
    kind = batch_wire(endpoint.provider.dialect, asked_for=True)
    if kind is None:
        raise ConfigurationError(f"provider {job.provider!r} has no Batch API", guidance="Name the batch's configuration.")
    return kind(JobDoor(endpoint.provider, endpoint.http, CallControl()))


def _look(wire: BatchWire, job: Job, *, cancel: bool) -> None:
    if cancel:
        try:
            wire.cancel(job.remote)
        except LLMConnectorError as error:
            if error.status not in (400, 409):  # it has ended already
                raise
            _log.info("%s: job %s is not cancelled: %s", job.provider, job.remote, error)
    try:
        remote = wire.look(job.remote)
    except ModelNotFoundError as error:
        error.guidance = "It was made with another key or at another address, or the provider has deleted it."
        raise
    job.word, job.done = remote.word, remote.done
