"""A page's sound as its browser has it: what the microphone gave and what the loudspeaker got, and when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_SCRIPT = Path(__file__).with_name("page_tap.js")
_QUANTUM = 128  # samples that a page renders at a time
_PER_MS = SAMPLE_RATE_HZ // 1_000


@dataclass(frozen=True)
class Tapped:
    """Both sides at 16 kHz in the context's time, from its sample `first` on; where a busy browser did not run the tap,
    `tapped` is False and they are silent; `clocks` are columns in ms: the page's clock, the context's, and the
    context's time of what leaves the device.
    """

    first: int
    user: Pcm
    agent: Pcm
    tapped: NDArray[np.bool_]
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
    """What was tapped so far."""
    blocks = page.evaluate("tapped")
    firsts = np.array([block[0] for block in blocks])
    assert np.all(np.diff(firsts) >= _QUANTUM), "blocks of more than one context"
    at = (firsts - firsts[0])[:, np.newaxis] + np.arange(_QUANTUM)
    ran = np.zeros(at[-1, -1] + 1, dtype=np.bool_)
    ran[at] = True
    user, agent = (np.zeros(ran.size, dtype=np.int16) for _ in range(2))
    for side, samples in ((1, user), (2, agent)):
        samples[at] = np.rint(np.array([block[side] for block in blocks]) * 32_768)
    return Tapped(int(firsts[0]), user, agent, ran, np.asarray(page.evaluate("clocks")))
