"""How the tests of the checks are written: for each exercise its stub, right and wrong answers."""

from dataclasses import dataclass

from helpers.judge import Check, State


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, a fragment that only its own message holds, and the state it leads to."""

    answers: tuple
    fragment: str
    state: State = State.WRONG


@dataclass(frozen=True)
class Case:
    """One exercise: every answer is the tuple of arguments that the check is called with."""

    check: Check
    stub: tuple
    right: list[tuple]
    wrong: list[Wrong]


def stub(*args, **kwargs):
    """Answer as an untouched stub does."""
    raise NotImplementedError()
