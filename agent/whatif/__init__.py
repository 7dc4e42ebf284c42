"""What another LLM, mode or endpointing delay would have made of a recorded run, and how right that is.

points.py    the points that are asked about, and the predictions for them
verify.py    the same points replayed for real through the pacer
show.py      the tables and the picture
"""
