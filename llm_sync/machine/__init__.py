"""What the processes of one user share on one machine: slots, cool-downs, and files that tell who runs.

All of it are small files in a private folder, and locks on them that the system frees when their holder dies. The only
room that imports fcntl, and only when something of it is asked for: Windows has none.
"""
