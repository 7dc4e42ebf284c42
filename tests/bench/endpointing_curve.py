"""False cut-ins against endpointing delay: `python tests/bench/endpointing_curve.py [--json]`.

Each point replays, in real time, the recordings that hold pauses (who is cut off?) and the single questions (how long
is the wait?) with other waits. Two curves: the shipped decision by the words, its waits scaled together, and silence
alone, whatever the words.
"""

import asyncio
import json
import sys
from dataclasses import replace

from rich.console import Console

from agent.config import Config, load_config
from agent.measure import Measurement, measure
from agent.recordings import shipped
from pipelines.endpointing import EndpointingSettings

SCALES = (0.5, 0.75, 1.0, 1.5, 2.0)
SILENCES_MS = (200, 400, 700, 1000)
LLM = "sim/0:5000"  # endpointing does not depend on the LLM, so the sweep does not wait for one


async def point(config: Config, name: str, waits: EndpointingSettings) -> dict[str, object]:
    """One point of a curve."""
    config = replace(config, endpointing=waits)
    console = Console(quiet=True)
    pauses = await measure(Measurement(config, shipped("pause"), [LLM], [config.agent.mode], "pauses"), console)
    questions = shipped("question_short", "question_long")
    single = await measure(Measurement(config, questions, [LLM], [config.agent.mode], "questions"), console)
    return {
        "decision": name,
        "false_cut_ins": pauses.summary["false_cut_ins"],
        "pause_recordings": len(shipped("pause")),
        "endpointing_ms": single.summary["endpointing_ms"],
    }


async def main() -> None:
    """Measure and print both curves."""
    config = load_config(overrides={"agent": {"stt": "embedded", "tts": "embedded"}})
    waits = config.endpointing
    points = [
        await point(
            config,
            f"by the words, waits x {scale:g}",
            replace(
                waits,
                complete_ms=waits.complete_ms * scale,
                unknown_ms=waits.unknown_ms * scale,
                dangling_ms=waits.dangling_ms * scale,
            ),
        )
        for scale in SCALES
    ]
    points += [await point(config, f"silence alone, {ms} ms", EndpointingSettings(ms, ms, ms)) for ms in SILENCES_MS]
    if "--json" in sys.argv:
        print(json.dumps(points))
        return
    for p in points:
        cut = f"{p['false_cut_ins']} of {p['pause_recordings']} cut in"
        print(f"{p['decision']:32} {cut}, endpointing ms {p['endpointing_ms']}")


if __name__ == "__main__":
    asyncio.run(main())
