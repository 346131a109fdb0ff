"""Lines that stay below whatever else is written, held against an emulated terminal."""

from __future__ import annotations

import os
import pty
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat.plugin.screen import Screen

pyte = pytest.importorskip("pyte", reason="pip install '.[dev]'")


@pytest.fixture
def terminal(monkeypatch):
    """A file on a pseudo terminal, and a function that says what stands on it."""
    monkeypatch.setenv("TERM", "xterm")
    handle, end = pty.openpty()
    emulated = pyte.Screen(40, 6)
    stream = pyte.ByteStream(emulated)
    os.set_blocking(handle, False)

    def shown() -> list[str]:
        while True:
            try:
                stream.feed(os.read(handle, 65536))
            except BlockingIOError:
                return [line.rstrip() for line in emulated.display if line.strip()]

    with os.fdopen(end, "w") as file:
        yield file, shown
    os.close(handle)


def test_lines_stay_below_what_is_written(terminal):
    file, shown = terminal
    screen = Screen(file)
    screen.keep_below(["two", "lines"])
    screen.write("one line\n")
    screen.flush()
    assert shown() == ["one line", "two", "lines"]
    screen.write("and another\n")
    screen.flush()
    assert shown() == ["one line", "and another", "two", "lines"]


def test_a_line_goes_on_where_it_was(terminal):
    file, shown = terminal
    screen = Screen(file)
    for letter in "...F":
        screen.write(letter)
        screen.flush()
        screen.keep_below(["below"])
    assert shown() == ["...F", "below"]


def test_it_works_at_the_end_of_the_screen(terminal):
    file, shown = terminal
    screen = Screen(file)
    screen.keep_below(["two", "lines"])
    for number in range(20):
        screen.write(f"line {number}\n")
        screen.flush()
    assert shown() == ["line 17", "line 18", "line 19", "two", "lines"]


def test_others_who_write_to_the_terminal_write_above(terminal):
    file, shown = terminal
    screen = Screen(file)
    screen.write("ours\n")
    screen.keep_below(["below"])
    file.write("theirs\n")
    file.flush()
    screen.keep_below(["below"])
    assert shown() == ["ours", "theirs", "below"]


def test_a_line_of_its_own_breaks_one_that_is_under_way(terminal):
    file, shown = terminal
    screen = Screen(file)
    screen.write("test_x.py ")
    screen.line("a target is done")
    screen.write("...")
    screen.flush()
    assert shown() == ["test_x.py", "a target is done", "..."]


def test_nothing_is_left_when_it_is_closed(terminal):
    file, shown = terminal
    screen = Screen(file)
    screen.write("the end\n")
    screen.keep_below(["below"])
    screen.close()
    assert shown() == ["the end"]


def test_threads_write_whole_lines(terminal):
    file, shown = terminal
    screen = Screen(file)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: screen.line("x" * 20), range(40)))
    assert set(shown()) == {"x" * 20}


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_can_not_move_its_cursor_is_not_drawn_on(terminal, monkeypatch, kind):
    monkeypatch.setenv("TERM", kind)
    assert not Screen(terminal[0]).draws


def test_a_file_is_not_drawn_on(tmp_path):
    with (tmp_path / "log").open("w") as file:
        assert not Screen(file).draws
