#!/usr/bin/env python3
"""A multiprocessing pool: each process has a client of its own by itself, whether it is forked or spawned.

    python examples/multiprocessing_pool.py

Every process has its own queues: four processes may ask a provider four times at once. Threads in one process (or
`client.map`) keep to one at a time; processes are worth it only when the work around the answer is heavy.
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
    """Ask about one review; runs in a process of the pool, which makes its client on the first call."""
    response = llm_sync.generate(f"Is this review good, bad or neither? {review}", max_tokens=50)
    return multiprocessing.current_process().pid or 0, response.text


def main() -> None:
    """Judge all of them, in order."""
    with multiprocessing.Pool(2) as pool:
        for review, (pid, verdict) in zip(REVIEWS, pool.imap(judge, REVIEWS), strict=True):
            print(f"[{pid}] {review} -> {verdict}")
        pool.close()  # let the processes finish, and their clients with them
        pool.join()


if __name__ == "__main__":
    main()
