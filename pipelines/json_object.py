"""JSON objects whose shape others decide: requests and answers on the wire, tools' schemas, users' files.

What we write and read ourselves (traces, rows, summaries) has types of its own.
"""

from typing import Any

JsonObject = dict[str, Any]
