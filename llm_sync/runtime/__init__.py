"""What threads need from the process: cancellation of calls, forking, imports under a lock, conditions safe under Ctrl-C."""
