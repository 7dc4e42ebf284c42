"""LiveKit: the agent in one room, and a worker that is sent into rooms."""
