"""The commands: each module holds the options of some and hands over to their bodies."""
