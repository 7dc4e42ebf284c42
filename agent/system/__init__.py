"""What the process asks of its machine: CPU cores, signals, the files that were shipped with it."""
