"""The evaluation corpus: the texts of corpus.py in every voice of their split, some of them over a bad line.

Pause lengths, melodies, voices and conditions go round in turn, so that none of them belongs to one kind of text. It
knows nothing of the shipped recordings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import conditions
import labels
from corpus import Texts
from kokoro import Kokoro
from talkers import others, talkers
from utterance import utter

PAUSES_MS = {"dangling": (500, 800, 1_200), "open": (800, 1_200, 500), "finished": (1_200, 500, 800)}
LIST_PAUSES_MS = (400, 600, 800, 500, 700)
MELODIES = ("", "…", "", ",")

CONDITIONS = ("telephone", "room_0.3", "babble_20", "room_0.5", "babble_10")


@dataclass(frozen=True, slots=True)
class Item:
    """One recording to make; `marked` is a text for `utter`."""

    name: str
    kind: str
    voice: str
    marked: str
    condition: str | None


def items(texts: Texts, voices: Sequence[str], split: str) -> list[Item]:
    """Everything of one split, kinds mixed, so that the first part of it is a corpus too."""
    made = []
    for kind, number, text in _numbered(texts):
        voice = voices[(number + len(kind)) % len(voices)]
        every = 4 if kind == "plain" else 6
        hit, which = number % every == every - 1, CONDITIONS[number // every % len(CONDITIONS)]
        name = f"{split}_{kind}_{number:02}"
        made.append(Item(name, kind, voice, _marked(kind, number, text), which if hit else None))
    order = conditions.generator(split).permutation(len(made))
    return [made[index] for index in order]


def _numbered(texts: Texts) -> Iterator[tuple[str, int, str]]:
    fields = ("plain", "comma", "dangling", "open", "finished", "list")
    sources = (texts.plain, texts.comma, texts.dangling, texts.open, texts.finished, texts.listed)
    for kind, source in zip(fields, sources, strict=True):
        for number, text in enumerate(source):
            yield kind, number, text


def _marked(kind: str, number: int, text: str) -> str:
    """The text with its pauses as `utter` wants them."""
    if kind == "plain":
        return text
    before, *rest = text.split("|")
    marked = before
    for index, part in enumerate(rest):
        drawl, mark, length_ms = "", "", 0
        match kind:
            case "comma":
                length_ms = 300 * (number % 2)
            case "list":
                length_ms = LIST_PAUSES_MS[(number + index) % len(LIST_PAUSES_MS)]
            case _:
                length_ms = PAUSES_MS[kind][number % 3]
        if kind in ("dangling", "open"):
            mark = MELODIES[number // 3 % len(MELODIES)]
            drawl = " ~" if number // 2 % 2 else ""
        marked += f"{mark} {{{length_ms} {kind}{drawl}}} {part.strip()}"
    return marked


def make(kokoro: Kokoro, texts: Texts, voices: Sequence[str], folder: Path, *, held_out: bool) -> None:
    """Write one split; its labels are complete whenever they are on disk. Takes minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, babblers = [labels.HEADER], talkers(kokoro, voices)
    for number, item in enumerate(all_items := items(texts, voices, folder.name), 1):
        utterance = utter(kokoro, item.voice, item.marked)
        signal = conditions.heard(
            utterance.signal, utterance.active, item.condition, others(babblers, item.voice), item.name
        )
        recording = labels.Labelled(
            item.name, item.kind, item.voice, held_out, signal, [utterance], [len(signal)], item.condition
        )
        entries.append(labels.write(folder, recording))
        if number % 20 == 0 or number == len(all_items):
            (folder / "recordings.toml").write_text("".join(entries), "utf-8")
            print(f"{folder.name}: {number} of {len(all_items)}", flush=True)
