"""Where a run computes: one process, or one of several that share each batch; accelerate under torchrun."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Engine:
    """This process among those of the run: rank 0 writes files and speaks.

    device: `cpu`, `cuda` or `cuda:1`; of several processes each takes the GPU of its local rank.
    """

    def __init__(self, device: str) -> None:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        # accelerate keeps its choices for the life of a process; here each run makes its own.
        AcceleratorState._reset_state(reset_partial_state=True)
        if torch.device(device).index is not None:
            torch.cuda.set_device(device)
        self._accelerator = Accelerator(cpu=device == "cpu")
        self.rank: int = self._accelerator.process_index
        self.ranks: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    @property
    def main(self) -> bool:
        return self.rank == 0

    def distributed(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over the processes where there are several."""
        prepared: nn.Module = self._accelerator.prepare_model(module, device_placement=False)
        return prepared

    def apart(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Within, gradients are not exchanged yet: more parts of the batch follow."""
        return self._accelerator.no_sync(module) if self.ranks > 1 else nullcontext()

    def sums(self, values: dict[str, float]) -> dict[str, float]:
        """Each value summed over the processes."""
        if self.ranks == 1:
            return dict(values)
        total = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return dict(zip(values, total.tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether it holds for any process; all of them ask at the same place."""
        if self.ranks == 1:
            return flag
        raised = torch.tensor([float(flag)], device=self.device)
        torch.distributed.all_reduce(raised)
        return bool(raised.item())

    def same(self, module: nn.Module) -> None:
        """Gives all processes the running statistics of rank 0."""
        if self.ranks > 1:
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, 0)

    def gather(self, part: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks; on the CPU."""
        if self.ranks == 1:
            return part
        from accelerate.utils import gather_object

        return torch.cat(gather_object([part.cpu()]))

    def from_main(self, value: T) -> T:
        """What rank 0 has, for all."""
        if self.ranks == 1:
            return value
        from accelerate.utils import broadcast_object_list

        held = [value]
        broadcast_object_list(held)
        return held[0]

    def wait(self) -> None:
        """Until all processes are here."""
        self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Parts from the other processes."""
        if self.ranks > 1:
            torch.distributed.destroy_process_group()
