"""A page's sound as its browser has it: what the microphone gave and what the loudspeaker got, and when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_SCRIPT = Path(__file__).with_name("page_tap.js")
_QUANTUM = 128  # samples that a page renders at a time
_START = 125  # blocks, one second: long before anybody speaks
_PER_MS = SAMPLE_RATE_HZ // 1_000


@dataclass(frozen=True)
class Tapped:
    """Both sides at 16 kHz in the context's time, from its sample `first` on; `clocks` are columns in ms: the page's
    clock, the context's, and the context's time of what leaves the device.
    """

    first: int
    user: Pcm
    agent: Pcm
    clocks: NDArray[np.float64]

    @property
    def device_ms(self) -> float:
        """From rendering to leaving the device."""
        return float((self.clocks[:, 1] - self.clocks[:, 2]).max())

    def page_ms(self, sample: int) -> float:
        """The page's clock when this sample of a side was rendered, which stillness of the context makes later."""
        page, context, _ = self.clocks.T
        context_ms = (self.first + sample) / _PER_MS
        near = (context >= context_ms) & (context < context_ms + 100)
        return context_ms + float((page - context)[near].min())


def tap(page: Any) -> None:
    """Tap this page, whose context must bypass the content security policy, from its next load on."""
    page.add_init_script(path=_SCRIPT)


def tapped(page: Any) -> Tapped:
    """What was tapped so far.

    The tap runs in each quantum, so its blocks follow each other, but `currentFrame` says too little in some: Chromium
    leaves it where it was while the page's main thread holds the audio graph. The most that any block says of where the
    first began is right; were a block lost, the later ones would say more than those of the start.
    """
    blocks = page.evaluate("tapped")
    firsts = np.array([block[0] for block in blocks]) - _QUANTUM * np.arange(len(blocks))
    assert firsts[:_START].max() == firsts.max(), "the tap itself lost sound"
    sides = (np.concatenate([block[side] for block in blocks]) for side in (1, 2))
    user, agent = (np.rint(side * 32_768).astype(np.int16) for side in sides)
    return Tapped(int(firsts.max()), user, agent, np.asarray(page.evaluate("clocks")))
