"""Recorded audio through the agent, and what came of it: replay, comparison, demo, evaluations of the engines."""
