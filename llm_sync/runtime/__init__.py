"""What threads need of the process: cancelling a call, surviving a fork, imports under a lock, locks that survive Ctrl-C."""
