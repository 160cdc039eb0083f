"""Work beside other work: what came of it, or why it failed, reaches whoever waits."""

from __future__ import annotations

import threading

import pytest

from hypertape.errors import BadInput
from hypertape.stores.processes import beside


def test_work_beside_goes_on_while_this_thread_does_something_else() -> None:
    let_go = threading.Event()
    work = beside(lambda: let_go.wait(30))
    assert not work.done()
    let_go.set()
    assert work.result(30)


def test_an_error_beside_is_raised_where_it_is_waited_for() -> None:
    def fails() -> None:
        raise BadInput("it is so", next_step="Do it otherwise.")

    with pytest.raises(BadInput, match="it is so"):
        beside(fails).result(30)
