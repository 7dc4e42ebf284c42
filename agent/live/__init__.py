"""What every live conversation shares, whatever carries its audio: a sound card, a browser, a room.

conversation.py   one conversation, its turns handed to sinks as records
view.py           what of a turn in progress there is to show
tape.py           both sides as a WAV      fixture.py   a recorded conversation as a recording to replay
"""
