"""Reports on finished batches, from their records only: figures by model, scores, comparisons, tables.

``summarize`` reads outputs into a ``Report``, whose rows are plain data (``rows``). ``checks`` and ``command_check`` judge
answers, ``expectations`` has what was expected, ``statistics`` and ``pairs`` say how sure a difference is, ``store`` keeps a
small row of each record on disk.
"""

from llm_sync.reports.rows import ModelRow, PairRow, RecordRow
from llm_sync.reports.summary import Report, summarize

__all__ = ["ModelRow", "PairRow", "RecordRow", "Report", "summarize"]
