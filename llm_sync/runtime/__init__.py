"""What threads need from the process: cancellation, forking, imports under a lock, waits that signals may interrupt, a clock."""
