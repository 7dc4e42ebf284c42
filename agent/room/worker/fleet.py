"""Which worker is dead, and who takes its rooms. Pure: without LiveKit, and without a clock of its own.

LiveKit sends an agent into a room once. If that agent's process dies, nobody is sent after it, and the user sits in
silence. So the workers of one agent name tell one another that they live, which rooms they serve and how many more they
would take. Every worker computes the same from the same beats, so nobody has to lead: a room whose worker has fallen
silent goes to the one with the most free places. Where views differ for a moment, two take the room (of two agents in a
room the newer one stays) or none (and it is decided again at the next look, with newer beats).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

_ORPHAN_S = 60.0  # after which a room that nobody could take is given up
_MOST_PEERS = 500  # so that a stranger with a token cannot fill the memory


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker says of itself: its identity, the rooms that it serves, and how many more it would take."""

    worker: str
    rooms: tuple[str, ...]
    free: int

    def encode(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Heartbeat | None":
        """None if it is not a heartbeat."""
        try:
            match json.loads(data):
                case {"worker": str(worker), "rooms": list(rooms), "free": int(free)} if all(
                    isinstance(one, str) for one in rooms
                ):
                    return cls(worker, tuple(rooms), free)
        except ValueError:
            pass
        return None


@dataclass(frozen=True, slots=True)
class _Peer:
    beat: Heartbeat
    heard_s: float


class Fleet:
    """The others as they were last heard. One who has been silent for `silent_s` is dead."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._peers: dict[str, _Peer] = {}
        self._orphans: dict[str, float] = {}

    @property
    def others(self) -> list[str]:
        """Who else is alive, as far as is known."""
        return sorted(self._peers)

    @property
    def places(self) -> int:
        """How many rooms the others would take."""
        return sum(max(0, peer.beat.free) for peer in self._peers.values())

    def heard(self, beat: Heartbeat, now_s: float) -> bool:
        """Take a beat in; whether it is the first of that worker."""
        new = beat.worker not in self._peers
        if not new or len(self._peers) < _MOST_PEERS:
            self._peers[beat.worker] = _Peer(beat, now_s)
        for room in beat.rooms:  # somebody has it, perhaps who was thought dead
            self._orphans.pop(room, None)
        return new

    def left(self, worker: str) -> None:
        """That worker said goodbye: it saw to its rooms itself."""
        self._peers.pop(worker, None)

    def deaf(self, now_s: float) -> None:
        """We could not hear anybody until now, so nobody's silence says anything."""
        self._peers = {name: replace(peer, heard_s=now_s) for name, peer in self._peers.items()}

    def dead(self, now_s: float) -> list[Heartbeat]:
        """Who has fallen silent since the last call; their rooms are to be taken from now on."""
        silent = [peer.beat for peer in self._peers.values() if now_s - peer.heard_s > self._silent_s]
        for beat in silent:
            del self._peers[beat.worker]
            for room in beat.rooms:
                self._orphans.setdefault(room, now_s)
        return silent

    def mine(self, me: Heartbeat, now_s: float) -> list[str]:
        """The rooms without a worker that I am the one to take."""
        peers = [peer.beat for peer in self._peers.values()]
        served = {room for beat in [me, *peers] for room in beat.rooms}
        self._orphans = {
            room: since_s
            for room, since_s in self._orphans.items()
            if room not in served and now_s - since_s < _ORPHAN_S
        }
        return [room for room, worker in share_out(self._orphans, [me, *peers]).items() if worker == me.worker]

    def settled(self, room: str) -> None:
        """That room needs no agent any more."""
        self._orphans.pop(room, None)


def share_out(rooms: Iterable[str], workers: Iterable[Heartbeat]) -> dict[str, str]:
    """Each room to the worker that then has the most free places, by identity among equals; those for which there is
    none are left out. It depends on nothing but what is given, in any order.
    """
    free = {worker.worker: worker.free for worker in workers}
    shared: dict[str, str] = {}
    for room in sorted(rooms):
        best = min(free, key=lambda name: (-free[name], name), default=None)
        if best is None or free[best] < 1:
            break
        shared[room] = best
        free[best] -= 1
    return shared
