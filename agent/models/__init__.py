"""Speech models: which there are, where they come from, where they lie, and the engines over them.

catalogue.py   configs/speech.toml            names.py   what a user may ask for
sources.py     the hub and the package index  fetch.py   downloads, checked against their hashes
store.py       the folder of models           check.py   is a user's own folder usable?
load.py         names -> recogniser, voice, turn detector
"""
