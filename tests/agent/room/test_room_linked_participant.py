"""Whom the agent answers: a table of who is in the room when."""

import pytest

from agent.room.linked_participant import LinkedParticipant

ABSENT_S = 20.0

# (what happens: (second, who is in the room), ...; whom the agent answers after each; whether it is over at the end)
STORIES: dict[str, tuple[str, list[tuple[float, str, str | None]], bool]] = {
    "the first who comes is answered": ("", [(0, "", None), (5, "ada", "ada"), (6, "ada bob", "ada")], False),
    "one who was there before the agent is answered": ("", [(0, "ada", "ada")], False),
    "one who leaves is waited for": ("", [(0, "ada bob", "ada"), (9, "bob", "ada"), (28, "bob", "ada")], False),
    "one who comes back is answered again": (
        "",
        [(0, "ada bob", "ada"), (9, "bob", "ada"), (28, "bob ada", "ada"), (60, "bob ada", "ada")],
        False,
    ),
    "one who stays away makes room for the next": (
        "",
        [
            (0, "ada", "ada"),
            (5, "ada bob", "ada"),
            (6, "ada bob cy", "ada"),
            (9, "bob cy", "ada"),
            (30, "cy bob", "bob"),
        ],
        False,
    ),
    "the last one's leaving ends it": ("", [(0, "ada", "ada"), (5, "", "ada"), (26, "", "ada")], True),
    "nobody's coming ends it": ("", [(0, "", None), (20, "", None)], True),
    "only the one that is wanted is answered": ("bob", [(0, "ada", None), (5, "ada bob", "bob")], False),
    "one who is not wanted does not keep the agent": ("bob", [(0, "ada", None), (20, "ada", None)], True),
}


@pytest.mark.parametrize("story", STORIES)
def test_whom_the_agent_answers(story: str) -> None:
    wanted, happenings, over = STORIES[story]
    link = LinkedParticipant(wanted, ABSENT_S, happenings[0][0])
    for at_s, present, linked in happenings:
        link.update(present.split(), at_s)
        assert link.linked == linked, at_s
    assert link.is_over(happenings[-1][0]) is over
