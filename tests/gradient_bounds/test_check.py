"""The checks of this room, by the tests that all rooms share."""

from tests.judging import *  # noqa: F403

ROOM = "gradient_bounds"
