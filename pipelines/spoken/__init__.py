"""The parts of `pipelines.speakable`: each puts one kind of written text into American English words."""
