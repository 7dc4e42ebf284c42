"""The fixtures of the model world: a local server that behaves like the hub and the index, and the screen."""

from tests.agent.models.model_world import screen, server

__all__ = ["screen", "server"]
