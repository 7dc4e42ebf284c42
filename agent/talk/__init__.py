"""`quickturn talk`: the agent on this machine's microphone and speaker."""
