"""The table of turn-taking, explored: every order of events that can happen, against a model of what is heard."""

from collections import deque
from dataclasses import dataclass, replace

import pytest

from pipelines.turn_taking import AGENT_HAS_IT, CONTESTED, TABLE, Action, Floor, FloorEvent, after


@dataclass(frozen=True)
class World:
    """What a session has done: is the output paused, is an answer (or an opening) under way, whose turn is open?"""

    floor: Floor = Floor.OPEN
    paused: bool = False
    speaking: bool = False  # a task of the agent's is under way
    overlap_open: bool = False  # an utterance over the answer is being read
    committed: bool = False


NEEDS: dict[Action, dict[str, bool]] = {
    Action.COMMIT: {"committed": False},
    Action.REOPEN: {"committed": True, "paused": False},
    Action.PAUSE: {"paused": False},
    Action.RESUME: {"paused": True, "speaking": True},
    Action.UNPAUSE: {"paused": True, "speaking": False},
    Action.DROP: {"overlap_open": True},
    Action.BEGIN: {},
}
"""What must hold for an action to make sense."""

DOES: dict[Action | FloorEvent, dict[str, bool]] = {
    FloorEvent.OPENING_BEGAN: {"speaking": True},
    FloorEvent.SPEECH: {"overlap_open": True},
    FloorEvent.SPEECH_AT_THE_END: {"overlap_open": True},
    FloorEvent.DONE: {"speaking": False, "committed": False},
    Action.COMMIT: {"committed": True},
    Action.REOPEN: {"committed": False},
    Action.PAUSE: {"paused": True},
    Action.RESUME: {"paused": False},
    Action.UNPAUSE: {"paused": False},
    Action.DROP: {"overlap_open": False},
    # Cancelling the old answer clears the output, which ends its pause.
    Action.BEGIN: {"speaking": True, "paused": False, "overlap_open": False, "committed": False},
}


def step(world: World, event: FloorEvent) -> World:
    """Perform the actions, and fail where one makes no sense."""
    floor, actions = after(world.floor, event)
    now = replace(world, floor=floor, **DOES.get(event, {}))
    for action in actions:
        assert {name: getattr(now, name) for name in NEEDS[action]} == NEEDS[action], (world, event, action)
        now = replace(now, **DOES[action])
    return now


def check(world: World) -> None:
    """What holds at any time."""
    assert world.paused is (world.floor in (Floor.PAUSED, Floor.SETTLING)), "silent if, and only if, it is contested"
    assert world.overlap_open is (world.floor in CONTESTED), "no utterance over the answer is left unread"
    assert world.speaking is (world.floor is not Floor.OPEN)
    assert world.committed is (world.floor in AGENT_HAS_IT - {Floor.OPENING})


def reachable() -> dict[World, list[FloorEvent]]:
    """Every state of the world, with a shortest way there; each step on the way is checked."""
    ways: dict[World, list[FloorEvent]] = {World(): []}
    waiting = deque(ways)
    while waiting:
        world = waiting.popleft()
        for floor, event in TABLE:
            if floor is not world.floor or (event is FloorEvent.DONE and not world.speaking):
                continue
            new = step(world, event)
            check(new)
            if new not in ways:
                ways[new] = [*ways[world], event]
                waiting.append(new)
    return ways


def test_in_any_order_of_events_the_agent_is_silent_while_contested_and_never_afterwards() -> None:
    assert len(reachable()) >= len(Floor)


def test_every_state_is_reached_and_every_row_is_used() -> None:
    floors = {world.floor for world in reachable()}
    assert floors == set(Floor)
    assert {floor for floor, _ in TABLE} == set(Floor)


def test_whatever_happened_the_floor_becomes_open_again_and_the_next_words_begin_a_turn() -> None:
    for world in reachable():
        while world.floor is not Floor.OPEN:
            world = step(world, FloorEvent.DONE)
            check(world)
        assert step(world, FloorEvent.SPEECH).floor is Floor.USER


def test_the_users_words_always_become_a_turn_or_are_dropped_knowingly() -> None:
    """From any contested state, each way out either begins a turn or drops a sound that was no interruption."""
    for (floor, event), (then, actions) in TABLE.items():
        if floor in CONTESTED and then not in CONTESTED:
            assert (Action.BEGIN in actions) != (Action.DROP in actions), (floor, event)
            assert (Action.DROP in actions) is (event is FloorEvent.OVER), (floor, event)


def test_only_before_the_answer_is_heard_may_the_user_go_on_with_the_turn() -> None:
    assert [floor for floor, event in TABLE if event is FloorEvent.RESUMED] == [Floor.COMMITTED]


@pytest.mark.parametrize("floor", [floor for floor in Floor if floor not in CONTESTED])
def test_a_sound_is_provided_for_in_every_state_that_is_not_contested(floor: Floor) -> None:
    then, _ = after(floor, FloorEvent.SPEECH)
    assert then is (Floor.PAUSED if floor in (Floor.COMMITTED, Floor.AGENT) else Floor.USER)


@pytest.mark.parametrize("floor", list(Floor))
def test_the_end_of_what_the_agent_does_is_provided_for_in_every_state(floor: Floor) -> None:
    then, actions = after(floor, FloorEvent.DONE)
    assert then is (Floor.USER if floor in CONTESTED else Floor.OPEN)
    assert (Action.UNPAUSE in actions) is (floor in (Floor.PAUSED, Floor.SETTLING))


def test_what_cannot_happen_is_named() -> None:
    with pytest.raises(LookupError, match="RESUMED cannot happen while the floor is AGENT"):
        after(Floor.AGENT, FloorEvent.RESUMED)
