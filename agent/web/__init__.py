"""`quickturn web`: a page in the browser to talk to, and the server behind it.

`server` serves the page and decides who may come in, `session` holds one conversation, `output` plays through the page,
`messages` is what travels, `recording` keeps both sides for the download.
"""
