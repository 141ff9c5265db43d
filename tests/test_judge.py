"""Every check against its stub, right answers and wrong answers; `-k table -s` prints them all."""

import importlib.util
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import helpers
from helpers.judge import State

HERE = Path(__file__).parent


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


CASES = {
    f"{path.parent.name}: {case.check.title}": case
    for path in sorted(HERE.glob("*/cases.py"))
    for case in load(path)
}
RIGHT = [(name, i) for name, case in CASES.items() for i in range(len(case.right))]
WRONG = [(name, i) for name, case in CASES.items() for i in range(len(case.wrong))]


@pytest.mark.parametrize("name", CASES)
def test_an_untouched_stub_is_not_attempted(name):
    assert CASES[name].check.verdict(*CASES[name].stub).state is State.NOT_ATTEMPTED


@pytest.mark.parametrize(("name", "i"), RIGHT)
def test_a_right_answer_passes_in_time_and_leaves_no_trace(name, i, capfd):
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    start = time.perf_counter()
    verdict = CASES[name].check.verdict(*CASES[name].right[i])
    assert verdict.state is State.RIGHT, str(verdict)
    assert time.perf_counter() - start < 4  # two seconds promised; room for a busy machine
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert torch.equal(torch.get_rng_state(), states[2])
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(("name", "i"), WRONG)
def test_a_wrong_answer_gets_its_own_message(name, i):
    case = CASES[name]
    wrong = case.wrong[i]
    verdict = case.check.verdict(*wrong.answers)
    assert verdict.state is wrong.state, str(verdict)
    assert wrong.fragment in verdict.message, str(verdict)
    for other in case.wrong[:i] + case.wrong[i + 1 :]:
        assert wrong.fragment != other.fragment


@pytest.mark.parametrize("name", CASES)
def test_there_are_enough_answers(name):
    assert len(CASES[name].right) >= 2
    assert len(CASES[name].wrong) >= 5


def test_every_check_of_every_notebook_has_its_case():
    tested = {id(case.check) for case in CASES.values()}
    for path in sorted(Path(helpers.__file__).parent.glob("*/check.py")):
        module = importlib.import_module(f"helpers.{path.parent.name}.check")
        for check in module.checklist.checks:
            assert id(check) in tested, f"no case for {check!r} of {path.parent.name}"


def test_table():
    """Print exercise × wrong answer × message, and the totals."""
    wrongs = 0
    for name, case in CASES.items():
        print(f"\n{name}: {len(case.right)} right answers")
        for wrong in case.wrong:
            wrongs += 1
            verdict = case.check.verdict(*wrong.answers)
            print(
                f"  {wrongs:3d}  {verdict.state.value}: {(verdict.message.splitlines() or [''])[0]}"
            )
    rights = sum(len(case.right) for case in CASES.values())
    print(f"\n{len(CASES)} exercises, {rights} right answers, {wrongs} wrong answers")
    assert CASES
