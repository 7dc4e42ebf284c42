"""The JSON schema of a turn's line in a trace, for other people's tools: `python -m agent.trace.schema` writes it anew.

It is made of the record's own types, so it is never edited by hand.
"""

import json
from pathlib import Path

from pipelines.stopwatch.record import TurnRecord

PATH = Path(__file__).with_name("turn.schema.json")


def schema_text() -> str:
    """The schema, as it stands in the file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TurnRecord.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
