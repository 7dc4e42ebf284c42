"""What a run needs before anybody speaks: configuration, connections, tools, and a doctor who looks for them.

config.py, room_settings.py   the settings, from TOML
engines.py, connections.py        engines and LLM connections, opened once and closed in order
tools.py                      what the model may call
cores.py                      this machine's cores
doctor.py                     `quickturn doctor`
"""
