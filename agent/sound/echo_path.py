"""Does the speaker reach the microphone at all? With headphones it does not.

WebRTC's canceller, given a voice to cancel and no echo of it, takes the user's words for the echo and swallows the
first second of them (measured on a virtual card: an interruption over headphones was lost, over an echo of -20 dB it
was heard at once). So it is asked first whether there is an echo.

Where the speaker has been loud without a break for longer than any echo takes, its echo must be in the microphone now.
The quiet ones among such moments, when nobody else makes a sound, bound the gain of the echo from above.
"""

from collections import deque

import numpy as np

from pipelines.events import Pcm

_FRAMES_BACK = 12  # of 20 ms: longer than playout, air and capture take together
_LOUD_DBFS = -45.0
_MOMENTS = 150  # three seconds of loud speech ...
_ENOUGH = 10  # ... of which a fifth of one must be there
_QUIET_SHARE = 20.0  # percent: the user is silent for that much of it, even when interrupting
_NONE_BELOW_DB = -40.0
_SURE_ABOVE_DB = -34.0


class EchoPath:
    """Listens to what is played and captured, frame by frame of the same 20 ms; None in `gain_db` while unknown."""

    def __init__(self) -> None:
        self.gain_db: float | None = None
        self._far_db: deque[float] = deque(maxlen=_FRAMES_BACK)
        self._moments: deque[float] = deque(maxlen=_MOMENTS)
        self._is_absent = False

    @property
    def is_absent(self) -> bool:
        """Whether what is played cannot be heard in what is captured."""
        return self._is_absent

    def heard(self, played: Pcm, captured: Pcm) -> None:
        """Note a frame: what the speaker was given, and what the microphone heard, at whatever rates."""
        if not len(played):
            return
        self._far_db.append(_level_db(played))
        if len(self._far_db) < _FRAMES_BACK or (far_db := min(self._far_db)) < _LOUD_DBFS:
            return
        self._moments.append(_level_db(captured) - far_db)
        if len(self._moments) < _ENOUGH:
            return
        self.gain_db = float(np.percentile(self._moments, _QUIET_SHARE))
        if self.gain_db < _NONE_BELOW_DB:
            self._is_absent = True
        elif self.gain_db > _SURE_ABOVE_DB:
            self._is_absent = False


def _level_db(pcm: Pcm) -> float:
    """RMS in dB of full scale, not below -100."""
    power = float(np.mean(np.square(pcm, dtype=np.float64))) if len(pcm) else 0.0
    return 10 * float(np.log10(max(power / 32_768**2, 1e-10)))
