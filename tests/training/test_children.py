"""What a process of several says of a Ctrl-C that reaches it twice."""

from __future__ import annotations

import signal

import pytest

from goingdeeper.errors import Interrupted
from goingdeeper.stopping import stop_requests
from goingdeeper.training import children


@pytest.fixture
def own_handlers():
    before = {number: signal.signal(number, children._leave) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("times", [1, 2])
def test_the_same_interrupt_again_does_not_hide_what_was_saved(own_handlers, times):
    """The process that watches passes it on, perhaps when the training loop has already let go."""

    def run() -> None:
        try:
            with stop_requests() as stop:
                signal.raise_signal(signal.SIGINT)
                assert stop.signal == signal.SIGINT
                raise Interrupted("everything is saved", stop.signal)
        finally:
            if times == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        run()
    assert str(caught.value) == ("everything is saved" if times == 1 else "interrupted")
    assert str(children._first(caught.value)) == "everything is saved"


def test_an_interrupt_before_training_is_said_as_it_is(own_handlers):
    with pytest.raises(Interrupted) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert children._first(caught.value) is caught.value
    assert caught.value.exit_status == 143
