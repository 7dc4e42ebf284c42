"""How right is `whatif`? `python -m tests.bench.whatif_cells quickturn-demo/trace.jsonl`.

Each turn of a demo's trace, at its LLM's speed and in its mode, is predicted from the turns of the same recording at
the other speeds and in the other mode, and compared with what was measured. It replays nothing (`quickturn whatif
--verify` does) and leaves the sequential mode out. Printed: the absolute error over all turns, and the worst of them.
"""

import sys
from pathlib import Path
from statistics import median

from agent.setup.config import load_config
from agent.setup.engines import read_catalogue
from agent.whatif.points import read_base, speed_of
from pipelines.modes import Mode
from pipelines.stopwatch.percentiles import percentiles
from pipelines.stopwatch.whatif import Change, predict, read_turn


def main(path: Path) -> None:
    """Predict every turn from the others and print the errors."""
    catalogue = read_catalogue(load_config())
    base = read_base(path, catalogue)
    turns = [(record, turn) for record in base.trace.turns if (turn := read_turn(record))]
    errors: list[tuple[float, str]] = []
    for record, turn in turns:
        change = Change(Mode(record.mode), speed_of(record.llm, catalogue, base))
        others = [other for of, other in turns if of is not record and other.recording == turn.recording]
        predicted_ms = median(predict(other, change).latency_ms for other in others)
        errors.append((predicted_ms - turn.latency_ms, f"{record.recording}, {record.llm}, {record.mode}"))
    found = percentiles([abs(ms) for ms, _ in errors])
    print(f"|predicted - measured| p50 {found.p50} ms, p95 {found.p95} ms over {found.n} turns")
    for ms, cell in sorted(errors, key=lambda error: -abs(error[0]))[:5]:
        print(f"{ms:+6.1f} ms  {cell}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
