"""How much of what this process can serve in real time is in use, by measurement; LiveKit's dispatcher goes by it.

`load` is a pure function of readings; `Admission` keeps the readings of the last seconds, with the clock and the
machine's counters injected. Independent of LiveKit and rooms.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]  # it publishes no types

from agent.setup.room_settings import RoomSettings
from pipelines.events import Clock

_WINDOW_S = 5.0
_LATE_EVERY_S = 0.05
_CPU_EVERY_S = 0.5
_NEW_S = 10.0  # a room's CPU shows once its user has spoken


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds since some beginning: of this process with its children, and of the whole machine."""

    process_s: float
    machine_s: float


@dataclass(frozen=True, slots=True)
class Readings:
    """What is going on: rooms that are served, those among them that have just begun, the CPU cores that are busy, and
    how late the event loop is (p95).
    """

    sessions: int
    new_sessions: int
    busy_cores: float
    late_ms: float


def load(readings: Readings, cores: float, settings: RoomSettings) -> float:
    """The fraction of the capacity that is in use: from 1 on, another room could not be served in real time.

    The scarcest of three counts: places, CPU (that of new rooms is reserved until it shows), and lateness.
    """
    reserved = readings.new_sessions * settings.new_room_cores
    return max(
        readings.sessions / settings.sessions,
        # With one more room: a process that has CPU for half a room must not take it.
        _cpu(readings.busy_cores + reserved, cores, settings),
        readings.late_ms / settings.late_ms,
    )


def why_full(readings: Readings, cores: float, settings: RoomSettings) -> str:
    """What `load` comes from, for people."""
    reserved = readings.new_sessions * settings.new_room_cores
    counts = {
        f"{readings.sessions} of {settings.sessions} rooms": readings.sessions / settings.sessions,
        f"{readings.busy_cores:.1f} of {cores:g} cores busy" + (f", {reserved:.2g} reserved" if reserved else ""): _cpu(
            readings.busy_cores + reserved, cores, settings
        ),
        f"event loop {readings.late_ms:.0f} ms late": readings.late_ms / settings.late_ms,
    }
    return max(counts, key=lambda text: counts[text])


def _cpu(busy_cores: float, cores: float, settings: RoomSettings) -> float:
    able = cores * settings.full_cpu_share
    return busy_cores / max(able - settings.new_room_cores, able / 2)


def measured_use() -> Used:
    """What psutil counts."""
    process = psutil.Process()
    times = [process.cpu_times(), *_children_times(process)]
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
    # Linux counts a guest's time in user too.
    busy -= getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    return Used(sum(one.user + one.system for one in times), busy)


def _children_times(process: psutil.Process) -> list[Any]:
    found = []
    for child in process.children(recursive=True):
        try:
            found.append(child.cpu_times())
        except psutil.Error:  # it has ended
            continue
    return found


class Admission:
    """Keeps the readings; `sessions` tells when each room that is served began. `run` samples until cancelled."""

    def __init__(
        self,
        settings: RoomSettings,
        sessions: Callable[[], list[float]],
        clock: Clock,
        core_count: float,
        use: Callable[[], Used] = measured_use,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._clock = clock
        self._cores = core_count
        self._use = use
        self._late: deque[tuple[float, float]] = deque(maxlen=math.ceil(_WINDOW_S / _LATE_EVERY_S))
        self._used: deque[tuple[float, Used]] = deque(maxlen=math.ceil(_WINDOW_S / _CPU_EVERY_S) + 1)

    @property
    def load(self) -> float:
        """See the function. It may be asked from any thread."""
        return load(self.readings(), self._cores, self._settings)

    @property
    def why(self) -> str:
        """What the load comes from."""
        return why_full(self.readings(), self._cores, self._settings)

    def readings(self) -> Readings:
        """As of now."""
        now_s, began = self._clock(), self._sessions()
        late = sorted(late_ms for at_s, late_ms in tuple(self._late) if now_s - at_s <= _WINDOW_S)
        p95 = late[math.ceil(0.95 * len(late)) - 1] if late else 0.0
        return Readings(len(began), sum(now_s - one < _NEW_S for one in began), self._busy_cores(), p95)

    def late(self, late_ms: float) -> None:
        """The event loop woke so late."""
        self._late.append((self._clock(), late_ms))

    def sample(self) -> None:
        """Read the CPU counters."""
        self._used.append((self._clock(), self._use()))

    def _busy_cores(self) -> float:
        """The larger of what we and what all use: a cgroup is full of us alone, a shared machine is full of others."""
        samples = tuple(self._used)
        if len(samples) < 2:
            return 0.0
        (start_s, first), (end_s, last) = samples[0], samples[-1]
        process, machine = last.process_s - first.process_s, last.machine_s - first.machine_s
        share = self._cores / (psutil.cpu_count() or 1)  # the machine's busyness falls on our share of it alike
        return max(process, machine * share, 0.0) / max(end_s - start_s, 1e-3)

    async def run(self) -> None:
        """Sample until cancelled."""
        next_cpu_s = self._clock()
        while True:
            due_s = self._clock() + _LATE_EVERY_S
            await asyncio.sleep(_LATE_EVERY_S)
            self.late(max(0.0, self._clock() - due_s) * 1_000)
            if self._clock() >= next_cpu_s:
                # In a thread: reading the children of a busy machine takes milliseconds, which the audio has not.
                with suppress(psutil.Error, OSError):  # the next one may succeed
                    await asyncio.to_thread(self.sample)
                next_cpu_s = self._clock() + _CPU_EVERY_S
