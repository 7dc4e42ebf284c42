"""The simulated LLM provider: a real HTTP server with a real SSE stream, at a stated speed, with faults on request."""
