#!/usr/bin/env python3
"""Calls from a multiprocessing pool: each process creates its own client, whether it is forked or spawned.

    python examples/multiprocessing_pool.py

Every process has its own queues, so four processes may have four requests to a provider in flight. Threads in one process (or
`client.map`) send one at a time. Processes are only worth it if your own work on the answers takes much CPU time.
"""

import multiprocessing

import llm_sync

REVIEWS = [
    "The zip broke on the second day.",
    "Fits well, and it was here the next morning.",
    "It is a jacket.",
    "I would buy it again at once.",
]


def judge(review: str) -> tuple[int, str]:
    """Ask about one review. Runs in a process of the pool, which creates its client on the first call."""
    response = llm_sync.generate(f"Is this review good, bad or neither? {review}", max_tokens=50)
    return multiprocessing.current_process().pid or 0, response.text


def main() -> None:
    """Judge all reviews, in order."""
    with multiprocessing.Pool(2) as pool:
        for review, (pid, verdict) in zip(REVIEWS, pool.imap(judge, REVIEWS), strict=True):
            print(f"[{pid}] {review} -> {verdict}")
        pool.close()  # let the processes and their clients finish
        pool.join()


if __name__ == "__main__":
    main()
