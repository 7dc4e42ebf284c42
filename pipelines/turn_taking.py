"""Who has the floor: one table of states and events, without I/O.

The session feeds it what happens and performs the actions that come out; nothing else decides about the floor. Until
the agent is heard, whatever the user says joins the turn (RESUMED). At the first sound over it the agent falls silent;
only then do words decide whether that was an interruption (`pipelines.barge_in` judges them).

    OPEN ──speech──▶ USER ──ended──▶ COMMITTED ──heard──▶ AGENT ──speech──▶ PAUSED ⇄ SETTLING
      ▲                ▲ ◀──resumed──┘                      ▲                 │  patience over
      └──── done ──────┴──────────── taken ─────────────────┴── over ── OVERLAP ◀┘
"""

from enum import Enum, auto


class Floor(Enum):
    """Who may speak."""

    OPEN = auto()
    """Nobody is speaking."""
    OPENING = auto()
    """The agent says its opening words, which any sound ends."""
    USER = auto()
    """The user's turn is heard out."""
    COMMITTED = auto()
    """The user has finished, as far as is known; the answer has not been heard yet."""
    AGENT = auto()
    """The agent is heard."""
    PAUSED = auto()
    """The agent is silent, for there is a sound over its answer."""
    SETTLING = auto()
    """Still silent: the words so far are no interruption, and it goes on if nothing follows them."""
    OVERLAP = auto()
    """The agent has gone on, while the sound over its answer has not ended yet."""


class FloorEvent(Enum):
    """What happens to the floor."""

    OPENING_BEGAN = auto()
    SPEECH = auto()
    """The user makes a sound that belongs to no open utterance."""
    SPEECH_AT_THE_END = auto()
    """The same, when the agent has as good as finished: it answers what the agent said."""
    ENDED = auto()
    """The user's turn is over, with words in it."""
    RESUMED = auto()
    """The user goes on before the answer was heard."""
    HEARD = auto()
    """The first sample of the answer is about to be played."""
    UNCLEAR = auto()
    """Of the sound over the answer, too little is understood so far."""
    DISMISSED = auto()
    """It is a backchannel, an echo or a noise, so far."""
    TAKEN = auto()
    """It is an interruption."""
    OVER = auto()
    """It has ended and was no interruption."""
    STILL_SOUNDING = auto()
    """The time to settle has passed, but the sound has not ended: there was a gap in it."""
    PATIENCE_OVER = auto()
    """Nothing more has been understood for as long as the agent waits."""
    DONE = auto()
    """What the agent was doing has come to its end, whether it went well or not."""


class Action(Enum):
    """What the session does about it, in order."""

    COMMIT = auto()
    """Tell that the turn is committed."""
    REOPEN = auto()
    """Tell that the turn goes on; its answer is held back."""
    PAUSE = auto()
    """Silence the agent, for now."""
    RESUME = auto()
    """Let the agent go on where it was: a false start."""
    UNPAUSE = auto()
    """Free the output of a pause whose answer has ended."""
    DROP = auto()
    """Listen no further to the sound over the answer."""
    BEGIN = auto()
    """Cancel what the agent is doing and begin a turn with what the user says."""


F, E, A = Floor, FloorEvent, Action

TABLE: dict[tuple[Floor, FloorEvent], tuple[Floor, tuple[Action, ...]]] = {
    (F.OPEN, E.OPENING_BEGAN): (F.OPENING, ()),
    (F.OPEN, E.SPEECH): (F.USER, (A.BEGIN,)),
    (F.OPEN, E.DONE): (F.OPEN, ()),
    (F.OPENING, E.SPEECH): (F.USER, (A.BEGIN,)),
    (F.OPENING, E.DONE): (F.OPEN, ()),
    (F.USER, E.ENDED): (F.COMMITTED, (A.COMMIT,)),
    (F.USER, E.SPEECH): (F.USER, (A.BEGIN,)),  # over an apology, or over a turn without words that has not ended yet
    (F.USER, E.DONE): (F.OPEN, ()),
    (F.COMMITTED, E.RESUMED): (F.USER, (A.REOPEN,)),
    (F.COMMITTED, E.HEARD): (F.AGENT, ()),
    (F.COMMITTED, E.SPEECH): (F.PAUSED, (A.PAUSE,)),  # its utterance could not be heard out, but will be answered
    (F.COMMITTED, E.DONE): (F.OPEN, ()),
    (F.AGENT, E.HEARD): (F.AGENT, ()),
    (F.AGENT, E.SPEECH): (F.PAUSED, (A.PAUSE,)),
    (F.AGENT, E.SPEECH_AT_THE_END): (F.USER, (A.BEGIN,)),
    (F.AGENT, E.DONE): (F.OPEN, ()),
    (F.PAUSED, E.HEARD): (F.PAUSED, ()),
    (F.PAUSED, E.UNCLEAR): (F.PAUSED, ()),
    (F.PAUSED, E.DISMISSED): (F.SETTLING, ()),
    (F.PAUSED, E.TAKEN): (F.USER, (A.BEGIN,)),
    (F.PAUSED, E.OVER): (F.AGENT, (A.RESUME, A.DROP)),
    (F.PAUSED, E.PATIENCE_OVER): (F.OVERLAP, (A.RESUME,)),
    (F.PAUSED, E.DONE): (F.USER, (A.UNPAUSE, A.BEGIN)),
    (F.SETTLING, E.HEARD): (F.SETTLING, ()),
    (F.SETTLING, E.UNCLEAR): (F.PAUSED, ()),
    (F.SETTLING, E.DISMISSED): (F.SETTLING, ()),
    (F.SETTLING, E.TAKEN): (F.USER, (A.BEGIN,)),
    (F.SETTLING, E.OVER): (F.AGENT, (A.RESUME, A.DROP)),
    (F.SETTLING, E.STILL_SOUNDING): (F.PAUSED, ()),
    (F.SETTLING, E.PATIENCE_OVER): (F.OVERLAP, (A.RESUME,)),
    (F.SETTLING, E.DONE): (F.USER, (A.UNPAUSE, A.BEGIN)),
    (F.OVERLAP, E.HEARD): (F.OVERLAP, ()),
    (F.OVERLAP, E.UNCLEAR): (F.OVERLAP, ()),
    (F.OVERLAP, E.DISMISSED): (F.OVERLAP, ()),
    (F.OVERLAP, E.TAKEN): (F.USER, (A.PAUSE, A.BEGIN)),
    (F.OVERLAP, E.OVER): (F.AGENT, (A.DROP,)),
    (F.OVERLAP, E.DONE): (F.USER, (A.BEGIN,)),
}

AGENT_HAS_IT = frozenset({F.OPENING, F.COMMITTED, F.AGENT, F.PAUSED, F.SETTLING, F.OVERLAP})
"""The agent speaks or is about to: a sound of the user's may be an interruption, and an echo the agent's own."""

CONTESTED = frozenset({F.PAUSED, F.SETTLING, F.OVERLAP})
"""There is a sound over the answer, and it is not decided yet what it is."""


def after(floor: Floor, event: FloorEvent) -> tuple[Floor, tuple[Action, ...]]:
    """The next state and what to do, in order. Raises LookupError for an event that cannot happen in this state."""
    try:
        return TABLE[floor, event]
    except KeyError:
        raise LookupError(f"turn-taking: {event.name} cannot happen while the floor is {floor.name}") from None
