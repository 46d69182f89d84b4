"""Threads, queues and futures; knows nothing of HTTP or LLMs.

``queue``: one provider's FIFO and its workers. ``manager``: all queues of a client, order, the blocking wait. ``gate``: when
may the next attempt go. ``future``: what stands in the queue. ``status``: the counts. ``ending`` and ``fork``: what
happens to all of it when the process ends or splits.
"""
