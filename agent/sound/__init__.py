"""Sound cards: choosing one, capturing, playing, and taking the agent's own voice out of what is captured."""
