"""What another LLM, mode or endpointing delay would have made of a recorded run, and how right that is.

points.py    the points that are asked about, and the predictions for them verify.py    the same points replayed for
real through the pacer record.py    the JSON of the answer show.py      the tables picture.py   the picture
"""
