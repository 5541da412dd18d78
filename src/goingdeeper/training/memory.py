"""Where the memory does not suffice: a batch that fits, found by trying."""

from __future__ import annotations

import gc
import traceback
from dataclasses import replace

import torch

from goingdeeper.errors import ResourceError
from goingdeeper.training.engine import Engine
from goingdeeper.training.job import Job
from goingdeeper.training.loop import Trainer


def out_of_memory(problem: BaseException) -> bool:
    """Whether Python, the GPU or the CPU had no memory left, for which torch has no exception of its own."""
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and "can't allocate memory" in str(problem)


def not_enough(problem: BaseException, job: Job, engine: Engine) -> ResourceError:
    """The error that says which batch fits: the first of the halves, quarters, ... of which a step passes.

    The job's network is used for the trial and is of no use afterwards.
    """
    traceback.clear_frames(problem.__traceback__)  # they hold what the failed step had computed
    said = f"not enough memory on {job.device} for a batch of {job.recipe.batch}"
    batch = job.recipe.batch // 2
    if engine.ranks > 1:  # the others are not there for a trial
        return ResourceError(f"{said}; give --batch {max(engine.ranks, batch)}")
    while batch >= 2:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if _fits(job, batch, engine):
            return ResourceError(f"{said}; a batch of {batch} fits: --batch {batch}")
        batch //= 2
    return ResourceError(f"{said}, and no smaller one fits; give a smaller --size or another --model")


def _fits(job: Job, batch: int, engine: Engine) -> bool:
    trainer = Trainer(replace(job, recipe=replace(job.recipe, batch=batch)), engine=engine)
    batches = trainer.batches()
    try:
        trainer.step(next(batches))
    except (MemoryError, RuntimeError) as problem:
        if out_of_memory(problem):
            return False
        raise
    finally:
        batches.close()  # type: ignore[attr-defined]
    return True
