"""Check the invariants of a run: `quickturn replay --json | python tests/bench/check_run.py`.

Exit code 1 if one does not hold.

What is exact is checked exactly; what a busy machine moves (latencies) is printed beside its bar and not enforced here.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

MAX_WER = 0.05
HESITATIONS = ("pause", "pause_open")  # after dangling words, and after words that could be a whole sentence
MAY_BE_CUT = (*HESITATIONS, "pause_finished", "list")
MAX_TILING_ERROR_MS = 1.0


def broken(run: dict[str, Any]) -> Iterator[str]:
    """What does not hold, one line each."""
    for turn in run["turns"]:
        if turn["turn_latency_ms"] is None:
            continue
        error_ms = abs(sum(s["ms"] for s in turn["critical_path"]) - turn["turn_latency_ms"])
        if error_ms > MAX_TILING_ERROR_MS:
            cell = f"{turn['recording']} ({turn['llm']}, {turn['mode']})"
            yield f"{cell}: its segments miss its latency by {error_ms:.2f} ms"
    summary = run["summary"]
    # A hesitation may be taken for the end: how often is a measure, printed below. Anything else may not.
    cut = [t["recording"] for t in run["turns"] if t.get("false_cut_in") and t["kind"] not in MAY_BE_CUT]
    if cut:
        yield f"{len(cut)} false cut-ins: {', '.join(cut)}"
    if summary["wer"] is None and summary["wer_held_out"] is None:
        yield "no word error rate"
    for voices, wer in (("tuning", summary["wer"]), ("held-out", summary["wer_held_out"])):
        if wer is not None and wer > MAX_WER:
            yield f"word error rate {wer} over {MAX_WER} on {voices} voices"
    if failed := [f"{t['recording']}: {t['error']}" for t in run["turns"] if t["outcome"] == "failed"]:
        yield f"failed turns: {'; '.join(failed)}"
    if not summary["turn_latency_ms"]["n"]:
        yield "no turn completed"


def main() -> int:
    """Read a run from stdin, print its numbers and what is broken."""
    run = json.load(sys.stdin)
    summary = run["summary"]
    print(f"turns {len(run['turns'])}, {summary['outcomes']}")
    print(f"wer {summary['wer']} (held-out voices {summary['wer_held_out']})")
    print(f"overhead ms {summary['overhead_ms']} (bar: p50 3, p99 15)")
    print(f"event-loop lag ms {summary['event_loop_lag_ms']} (bar: p99 10)")
    print(f"endpointing ms {summary['endpointing_ms']}; turn latency ms {summary['turn_latency_ms']}")
    hesitating = {t["recording"]: t for t in run["turns"] if t["kind"] in HESITATIONS}
    early = {
        t["recording"] for t in run["turns"] if t["kind"] in HESITATIONS and (t["resumed_ms"] or t["false_cut_in"])
    }
    heard = {t["recording"] for t in run["turns"] if t["kind"] in HESITATIONS and t["false_cut_in"]}
    print(f"of {len(hesitating)} hesitations, {len(early)} were committed too early and {len(heard)} heard an answer")
    faults = list(broken(run))
    for fault in faults:
        print(f"BROKEN: {fault}")
    print("invariants hold" if not faults else f"{len(faults)} invariants broken")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
