"""LiveKit's AgentSession holds the conversation, and Quickturn's stopwatch watches it."""
