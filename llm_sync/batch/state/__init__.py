"""What a batch keeps on disk and in memory: the journal, the index, records, and what previous runs left."""
