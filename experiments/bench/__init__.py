"""Side-by-side measurements: each prints a table, and with --json PATH writes its rows."""
