"""The parts of `pipelines.spoken.speakable`: each puts one kind of written text into American English words."""
