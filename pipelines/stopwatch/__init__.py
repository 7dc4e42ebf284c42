"""Where the milliseconds of a turn went: marks, spans, critical path, ledger, trace, and what another LLM changes."""
