"""Teaching a small model to recite its lesson so that the recital tells something.

A lesson this short could be learned by embeddings and head alone, and would then survive whatever
happens to the blocks between. So three things are asked for: a margin over the next best token,
so that argmax comparisons do not flicker; the same with all linear layers rounded to nf4; and that
every weight matrix is needed, that is, with any one of them zeroed the lesson is no longer recited.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from compat.weights.twin.exercise import Exercise
from compat.weights.twin.matrices import matrices_with_gradient, recitals_without, zeroed
from compat.weights.twin.rounding import quantizable, rounded_to_nf4

MARGIN = 5.0
"""Least distance in logits between the right token and the next best, at every position."""
ROUNDED_MARGIN = 4.0
"""The same with every linear layer rounded to nf4."""
DISPENSABLE = 0.9
"""A matrix is dispensable where more than this share is recited without it."""
LOST = 0.5
"""The share that is recited without a matrix is pushed down to this."""
RATES = (4e-3, 2e-3, 1e-3)
"""Learning rates in the order in which they are tried; the next where the lesson did not stick."""

_MOST_STEPS = 500
_MOST_STEPS_KNOWING_IT = 250
"""Steps after the lesson is known with its margins, to make the last matrices needed."""
_LOOK_EVERY = 10
_WARM_UP = 10
_NEARLY_KNOWN = 1.0
"""Loss in nats below which matrices are made needed, and looking at margins is worth it."""
_UNSURE = -2.0
"""Log odds of a right token that zeroing a matrix should bring it down to."""
_UNSURE_WEIGHT = 0.1
_SEED = 20


@dataclass
class Progress:
    """How teaching went."""

    rate: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    curve: list[float] = field(default_factory=list)
    """Loss in nats, a point a step."""
    margin: float = -torch.inf
    rounded_margin: float = -torch.inf
    without: dict[str, float] = field(default_factory=dict)
    """The recital with each matrix zeroed."""

    @property
    def learned(self) -> bool:
        """Whether both margins were reached."""
        return self.margin >= MARGIN and self.rounded_margin >= ROUNDED_MARGIN

    @property
    def dispensable(self) -> list[str]:
        """Matrices that the lesson can do without."""
        return sorted(name for name, share in self.without.items() if share > DISPENSABLE)


def teach(model: nn.Module, exercise: Exercise) -> Progress:
    """Teach `model` in place, in evaluation mode, so that nothing is dropped at random.

    Each rate starts from the same weights; the model keeps the best weights of the last rate that
    was tried. `learned` of the result says whether they are good enough.
    """
    model.eval()
    start = copy.deepcopy(model.state_dict())
    began = time.perf_counter()
    with one_thread():
        for rate in RATES:
            model.load_state_dict(start)
            progress = _Course(model, exercise, rate).run()
            if progress.learned:
                break
    progress.seconds = time.perf_counter() - began
    return progress


class _Course:
    """Teaching at one rate."""

    def __init__(self, model: nn.Module, exercise: Exercise, rate: float) -> None:
        self.model, self.exercise = model, exercise
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, weight_decay=0.01)
        self.rounded = quantizable(model)
        self.matrices: dict[str, nn.Parameter] = {}
        self.without: dict[str, float] = {}
        self.random = random.Random(_SEED)
        self.progress = Progress(rate=rate)
        self.best: Progress | None = None
        self.best_weights: dict[str, Any] = {}
        self.known_since = 0

    def run(self) -> Progress:
        """Teach until all that is asked for is there, or for as many steps as are allowed."""
        for step in range(_MOST_STEPS):
            self._step(step)
            loss = self.progress.curve[-1]
            if not math.isfinite(loss) or self._is_hopeless():
                break
            if (step + 1) % _LOOK_EVERY == 0 and loss < _NEARLY_KNOWN:
                self._look()
                if self._is_done():
                    break
        return self._finish()

    def _step(self, step: int) -> None:
        progress, exercise = self.progress, self.exercise
        for group in self.optimizer.param_groups:
            group["lr"] = progress.rate * min(1.0, (step + 1) / _WARM_UP)
        self.optimizer.zero_grad()
        with rounded_to_nf4(self.rounded) if step % 2 else nullcontext():
            loss = exercise.loss(exercise.logits(self.model))
            torch.autograd.backward(loss)
            if not self.matrices:
                self.matrices = matrices_with_gradient(self.model)
            if loss.item() < _NEARLY_KNOWN:
                self._make_needed()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        progress.steps = step + 1
        progress.curve.append(loss.item())

    def _make_needed(self) -> None:
        """Make it unsure where one matrix is zeroed, one that was last seen dispensable."""
        lasting = [name for name in self.matrices if self.without.get(name, 1.0) > DISPENSABLE]
        name = self.random.choice(lasting or list(self.matrices))
        with zeroed(self.matrices[name]):
            logits = self.exercise.logits(self.model)
            self.without[name] = self.exercise.recital(logits)
            if self.without[name] > LOST:
                torch.autograd.backward(_UNSURE_WEIGHT * self.exercise.sureness(logits, _UNSURE))

    def _look(self) -> None:
        """Measure, and keep the weights if they are the best so far."""
        progress, exercise, model = self.progress, self.exercise, self.model
        with torch.no_grad():
            progress.margin = exercise.margin(exercise.logits(model))
            with rounded_to_nf4(self.rounded):
                progress.rounded_margin = exercise.margin(exercise.logits(model))
        if not progress.learned:
            return
        progress.without = recitals_without(model, exercise, self.matrices)
        self.without = dict(progress.without)
        if self.best is None or len(progress.dispensable) < len(self.best.dispensable):
            self.best = copy.copy(progress)
            self.best_weights = copy.deepcopy(model.state_dict())
        self.known_since = self.known_since or progress.steps

    def _is_done(self) -> bool:
        if self.best is None:
            return False
        steps_knowing_it = self.progress.steps - self.known_since
        return not self.best.dispensable or steps_knowing_it >= _MOST_STEPS_KNOWING_IT

    def _is_hopeless(self) -> bool:
        curve = self.progress.curve
        return len(curve) == _MOST_STEPS // 2 and min(curve) > _NEARLY_KNOWN

    def _finish(self) -> Progress:
        for parameter in self.parameters:
            parameter.grad = None
        if self.best is None:
            return self.progress
        self.model.load_state_dict(self.best_weights)
        self.best.steps, self.best.curve = self.progress.steps, self.progress.curve
        return self.best


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread and deterministic kernels, as before afterwards: the same bytes every time."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
