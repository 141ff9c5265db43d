"""What a student reads of an answer, as text or as a card, and which cells failed to run.

`listen` lets the running kernel tell a check that its answer's cell has failed since, and turns the
NameError of a check or an explorer that is run too early into a sentence.
"""

import html
import linecache
import os
import re
import traceback
from dataclasses import dataclass
from typing import Any

from IPython import get_ipython
from IPython.display import display

from helpers.differences import State
from helpers.palette import GREEN, GREY
from helpers.settings import looked_at

# Readable under white, and plain to see on a light page and a dark one.
COLORS = {
    State.RIGHT: GREEN,
    State.WRONG: "#C43E00",
    State.MALFORMED: "#8A6100",
    State.RAISED: "#B3446C",
    State.NOT_ATTEMPTED: GREY,
}
# A line that gives a name its meaning, though it be misspelt: `deff f(x)`, `f = ...`
OTHERS = "assert|await|del|elif|for|if|match|not|print|raise|return|while|with|yield"
DEFINES = re.compile(rf"^(?!(?:{OTHERS}) )\w+ +(\w+) *[(:]|^(\w+) *=(?!=)", re.M)

_names: set[str] = set()  # that the running cell defines
_before: dict[str, Any] = {}  # what they meant until now
_failed: dict[str, tuple[Any, str]] = {}  # by name: what it meant before a cell failed, and why


@dataclass(frozen=True)
class Verdict:
    """What one check found; as a string, the lines that the student reads."""

    exercise: str
    state: State
    message: str = ""

    def __str__(self) -> str:
        head = f"{self.state.value}: {self.exercise}"
        return head + "".join(f"\n    {line}" for line in self.message.splitlines())

    def card(self, progress: str = "") -> str:
        """Return the verdict in HTML, for a light page or a dark one and for a screen reader."""
        color = COLORS[self.state]
        return (
            f'<div role="status" style="border-left: 6px solid {color}; padding: 2px 12px">'
            f'<strong style="background: {color}; color: white; padding: 2px 8px">'
            f"{self.state.value}</strong> <strong>{html.escape(self.exercise)}</strong>"
            f' <span style="float: right">{html.escape(progress)}</span>'
            '<div style="white-space: pre-wrap; margin-top: 6px">'
            f"{html.escape(self.message)}</div></div>"
        )

    def tell(self, progress: str = "") -> None:
        """Show the card where a browser looks on, else print the lines."""
        if looked_at():
            display({"text/plain": str(self), "text/html": self.card(progress)}, raw=True)
        else:
            print(self)


def listen() -> None:
    """Hear from now on which cells fail, and explain a NameError; once is enough."""
    if shell := get_ipython():
        shell.set_custom_exc((NameError,), _name_error)
        shell.events.register("pre_run_cell", _remember)
        shell.events.register("post_run_cell", _compare)


def unread(answers: tuple) -> str:
    """Return why an answer is not what the student last wrote: its cell failed; or nothing."""
    for name, (old, why) in _failed.items():
        if any(answer is old for answer in answers):
            return (
                f"the cell that defines `{name}` did not run ({why}).\n"
                "Mend it and run it again; what it defined before is not judged."
            )
    return ""


def _remember(info: Any) -> None:
    space = get_ipython().user_ns
    _names.clear()
    _names.update(function or name for function, name in DEFINES.findall(info.raw_cell))
    _before.clear()
    _before.update({name: space[name] for name in _names & space.keys()})


def _compare(result: Any) -> None:
    error = result and (result.error_before_exec or result.error_in_exec)
    if error:
        why = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        _failed.update({name: (old, why) for name, old in _before.items()})
    else:
        for name in _names & _failed.keys():
            del _failed[name]


def _name_error(shell: Any, kind: type, error: NameError, tb: Any, tb_offset: int = 0) -> None:
    """Say what a check or an explorer that is run too early waits for; show other NameErrors."""
    last = traceback.extract_tb(tb)[-1]
    cell = "".join(linecache.getlines(last.filename))
    called = re.search(r"^(check|explore)\.(\w+)\(", cell, re.M)
    if not called or not last.name.startswith("<") or os.environ.get("NBGRADER_EXECUTION"):
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
    elif called[1] == "check":
        title = getattr(getattr(shell.user_ns.get("check"), called[2], None), "title", "")
        message = f"{error.name} is not defined: run the cell with your answer first."
        Verdict(title, State.NOT_ATTEMPTED, message).tell()
    else:
        print(
            f"○ This needs the cells above, for `{error.name}`: Run > Run All Above Selected Cell."
        )
