"""A worker that LiveKit sends into rooms: dispatch, admission, drain, and the fleet that takes over."""
