"""What each provider accepts and how it answers: one folder per dialect, and ``base``, which they share."""
