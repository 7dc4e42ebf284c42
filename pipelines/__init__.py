"""The machinery of a spoken turn: stages, turns, timing. Independent of devices, rooms, terminals or argv."""
