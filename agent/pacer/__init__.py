"""The simulated LLM provider as a process of its own, or alone in the foreground (`quickturn llm-sim`)."""
