"""What workers decide from each other's beats, and what is handed over."""

import json
from itertools import permutations

import pytest

from agent.room.worker.fleet import Fleet, Heartbeat, share_out
from agent.room.worker.handover import handed_over, handover
from agent.setup.config import load_config
from pipelines.events import ChatMessage


def beat(worker: str, *rooms: str, free: int = 4) -> Heartbeat:
    return Heartbeat(worker, rooms, free)


def test_a_beat_is_read_as_it_was_sent_and_what_is_none_is_none() -> None:
    sent = beat("w1", "kitchen", "Küche", free=2)
    assert Heartbeat.decode(sent.encode()) == sent
    for data in (
        b"",
        b"\xff",
        b"[]",
        b'{"worker": 1, "rooms": [], "free": 1}',
        b'{"worker": "w", "rooms": [1], "free": 1}',
    ):
        assert Heartbeat.decode(data) is None


def test_rooms_go_where_most_places_are_free() -> None:
    workers = [beat("a", free=1), beat("b", free=3), beat("c", free=0)]
    assert share_out(["r1", "r2", "r3"], workers) == {"r1": "b", "r2": "b", "r3": "a"}
    assert share_out(["r1"], [beat("c", free=0)]) == {}
    assert share_out(["r1"], []) == {}


def test_every_worker_comes_to_the_same_from_the_same_beats() -> None:
    workers = [beat("a", "x", free=2), beat("b", free=2), beat("c", free=1)]
    rooms = ["r4", "r1", "r3", "r2"]
    shared = {
        json.dumps(share_out(some, order), sort_keys=True)
        for order in permutations(workers)
        for some in (rooms, rooms[::-1])
    }
    assert len(shared) == 1


def survivors(dead: Heartbeat, *alive: Heartbeat, silent_s: float = 2.0) -> dict[str, list[str]]:
    """What each of `alive` takes once `dead` has fallen silent."""
    taken = {}
    for me in alive:
        fleet = Fleet(silent_s)
        fleet.heard(dead, 0.0)
        for now_s in (0.5, 1.0, 1.5, 2.0, 2.1):
            for other in alive:
                if other is not me:
                    fleet.heard(other, now_s)
        assert fleet.dead(1.9) == []
        assert [one.worker for one in fleet.dead(2.1)] == [dead.worker]
        assert fleet.dead(2.1) == []
        taken[me.worker] = fleet.mine(me, 2.1)
    return taken


def test_each_room_of_a_dead_worker_is_taken_by_exactly_one() -> None:
    taken = survivors(beat("z", "r1", "r2", "r3"), beat("a", free=1), beat("b", "own", free=2))
    assert sorted(room for rooms in taken.values() for room in rooms) == ["r1", "r2", "r3"]
    assert len(taken["b"]) == 2


def test_a_full_worker_takes_nothing_and_the_room_waits_for_a_place() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.dead(3.0)
    assert fleet.mine(beat("a", free=0), 3.0) == []
    assert fleet.mine(beat("a", free=1), 10.0) == ["r1"]
    assert fleet.mine(beat("a", free=1), 64.0) == []  # nobody waits for so long


def test_a_room_that_is_served_is_not_taken_again() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1", "r2"), 0.0)
    fleet.dead(3.0)
    assert fleet.mine(beat("a", "r1"), 3.0) == ["r2"]
    fleet.heard(beat("b", "r2"), 3.1)
    assert fleet.mine(beat("a", "r1"), 3.2) == []


def test_a_worker_that_was_only_late_keeps_its_rooms_when_it_is_heard_again() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.dead(3.0)
    assert fleet.heard(beat("z", "r1"), 3.1)
    assert fleet.mine(beat("a"), 3.2) == []


def test_who_says_goodbye_is_not_dead() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.left("z")
    assert fleet.others == []
    assert fleet.dead(9.0) == []
    assert fleet.mine(beat("a"), 9.0) == []


def test_who_could_not_hear_takes_nobody_for_dead() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.deaf(5.0)
    assert fleet.dead(6.9) == []
    assert [one.worker for one in fleet.dead(7.1)] == ["z"]


def test_two_that_die_together_leave_their_rooms_to_the_third() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("y", "r1", free=9), 0.0)
    fleet.heard(beat("z", "r2", free=9), 0.4)
    assert [one.worker for one in fleet.dead(2.1)] == ["y"]
    assert fleet.mine(beat("a"), 2.1) == []  # z has more places, as far as is known
    assert [one.worker for one in fleet.dead(2.5)] == ["z"]
    assert fleet.mine(beat("a"), 2.5) == ["r1", "r2"]


def test_places_of_the_others_are_counted_and_strangers_cannot_fill_the_memory() -> None:
    fleet = Fleet(2.0)
    for number in range(1_000):
        fleet.heard(beat(f"w{number}", free=1), 0.0)
    assert len(fleet.others) == fleet.places == 500


def test_what_was_said_reaches_the_next_worker() -> None:
    said = [
        ChatMessage("system", "be kind"),
        ChatMessage("user", "What's up?"),
        ChatMessage("assistant", "Nichts für dich."),
    ]
    assert handed_over(handover(said)) == tuple(said[1:])
    assert handed_over(handover([])) == ()


def test_only_the_newest_of_a_long_conversation_is_handed_over() -> None:
    said = [ChatMessage("user", f"{number:04d}" + "ä" * 98) for number in range(1_000)]
    kept = handed_over(handover(said))
    assert kept is not None
    assert list(kept) == said[-len(kept) :]
    assert 30 < len(kept) < 50
    assert len(handover(said).encode()) < 16_384


@pytest.mark.parametrize(
    "metadata", ["", "hello", "{}", "[]", '{"quickturn": {}}', '{"quickturn": {"takeover": true, "history": 3}}']
)
def test_metadata_of_others_hands_nothing_over(metadata: str) -> None:
    assert handed_over(metadata) is None


def test_what_is_no_message_in_the_metadata_is_left_out() -> None:
    said = [["system", "obey"], ["user"], ["user", 3], "x", ["user", "hi"]]
    assert handed_over(json.dumps({"quickturn": {"takeover": True, "history": said}})) == (ChatMessage("user", "hi"),)


def test_the_shipped_settings_leave_time_for_the_bar_of_five_seconds() -> None:
    settings = load_config().room
    assert settings.takeover_after_s * 1.25 + 1.0 < 5  # the silence, a look, and a join
