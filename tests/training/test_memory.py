"""Which errors mean that memory is full; tests/faults has the advice that follows."""

import pytest
import torch

from goingdeeper.training.memory import out_of_memory


@pytest.mark.parametrize("ask", [lambda: torch.empty(1 << 60), lambda: bytearray(1 << 60)])
def test_what_torch_and_python_raise_when_there_is_no_memory(ask):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        ask()
    assert out_of_memory(caught.value)


def test_the_gpu_too():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))


@pytest.mark.parametrize(
    "problem", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), OSError(12, "")]
)
def test_other_errors_are_not_taken_for_it(problem):
    assert not out_of_memory(problem)
