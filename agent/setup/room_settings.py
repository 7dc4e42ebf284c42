"""Settings of the conversation in a LiveKit room, section [room] of the configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """`participant`: the identity that is answered, "" for whoever comes first.

    `greeting`: what the agent says when somebody is there, `takeover_line` when it takes over from another worker; ""
    for nothing. `absent_s`: how long it stays with nobody to answer, such as one who has left and may come back.

    The rest is the worker's. `sessions` is how many rooms one process serves at most, fewer where it has no CPU for
    them: it is full from `full_cpu_share` of the machine on, or when its event loop is `late_ms` behind (p95), and a
    room that has just begun counts `new_room_cores`. `fleet`: the workers of one agent name watch each other, and take
    the rooms of one that has been silent for `takeover_after_s`. `drain_timeout_s`: how long a worker that is told to
    stop waits for answers to be finished.
    """

    participant: str
    greeting: str
    takeover_line: str
    absent_s: float
    sessions: int
    full_cpu_share: float
    new_room_cores: float
    late_ms: float
    fleet: bool
    takeover_after_s: float
    drain_timeout_s: float
