"""Speed and memory, side by side with SQLite and journald: C{make bench}."""
