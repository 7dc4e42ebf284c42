"""The machinery of a spoken turn: stages, turns, timing. It knows nothing of devices, rooms, terminals or argv."""
