"""What figures and tables share."""

import pytest

from helpers import plotting


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(plotting, "display", lambda data, **_: bundles.append(data))
    return bundles


def test_a_table_is_aligned_as_text_and_escaped_as_html(shown):
    plotting.table([["a<b", 1.25, "–"], ["c", 10, "x"]], ["name", "n", "note"], ("", ".1f", ""))
    (data,) = shown
    assert data["text/plain"] == "name     n  note\na<b    1.2     –\nc     10.0     x"
    assert data["text/html"].count("<tr>") == 3
    assert ">a&lt;b</td>" in data["text/html"] and "right" in data["text/html"]


def test_a_row_of_another_length_is_refused(shown):
    with pytest.raises(ValueError, match="a row has 1 cells; the header has 2"):
        plotting.table([["a"]], ["name", "n"])
    assert not shown


@pytest.mark.parametrize(
    ("heights", "places"),
    [
        ([], []),
        ([0, 10, 30], [0, 10, 30]),  # far enough apart: nothing moves
        ([0, 0, 0, 40], [-10, 0, 10, 40]),  # a cluster spreads; what is clear of it stays
        ([0, 0, 0, 15], [-11.25, -1.25, 8.75, 18.75]),
    ],
)
def test_labels_are_moved_no_farther_than_they_must(heights, places):
    assert plotting._apart(heights, 10) == pytest.approx(places)
