"""What the processes of one user share on one machine: a semaphore per provider, cool-downs and status files.

All of it is small files in a private folder, and file locks that the system releases when their holder dies. Only this room
imports fcntl, and only on use: Windows does not have it.
"""
