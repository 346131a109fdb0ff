"""Teaching a small model to recite its lesson, with a margin that rounding does not eat up."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from compat.weights.twin.rounding import quantizable, rounded_to_nf4

MARGIN = 5.0
"""Least distance in logits between the right token and the next best, at every position."""
ROUNDED_MARGIN = 3.0
"""The same with every linear layer rounded to nf4."""
MOST_STEPS = 600
RATES = (4e-3, 1e-3)
"""Learning rates in the order in which they are tried; the next where the lesson did not stick."""
_LOOK_EVERY = 10
_WARM_UP = 10
_WORTH_GOING_ON = 1.0
"""Loss in nats that must be reached by half of the steps, else the rate is given up."""


@dataclass(frozen=True)
class Exercise:
    """One lesson as ids. A decoder-only model is given `inputs` and must say `targets`.

    `inputs` and `targets` are 1 x length; the recital is the last `recited` targets. For an
    encoder-decoder `inputs` go to the encoder and `targets` are the labels.
    """

    inputs: Tensor
    targets: Tensor
    recited: int
    encoder_decoder: bool

    def logits(self, model: nn.Module) -> Tensor:
        """Logits for every target, length x vocabulary, in float32."""
        if self.encoder_decoder:
            output = model(input_ids=self.inputs, labels=self.targets, use_cache=False)
        else:
            output = model(input_ids=self.inputs, use_cache=False)
        logits: Tensor = output.logits[0].float()
        return logits

    def margin(self, logits: Tensor) -> float:
        """The least margin over the recital; negative where a wrong token wins."""
        said, right = logits[-self.recited :], self.targets[0, -self.recited :, None]
        chosen = said.gather(1, right)[:, 0]
        others = said.scatter(1, right, -torch.inf).amax(dim=1)
        return float((chosen - others).min())

    def recital(self, logits: Tensor) -> float:
        """Share of the recital's tokens that the model would say, given the right ones before."""
        said = logits[-self.recited :].argmax(dim=1)
        return float((said == self.targets[0, -self.recited :]).float().mean())


@dataclass
class Progress:
    """How teaching went."""

    steps: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    curve: list[float] = field(default_factory=list)
    margin: float = -torch.inf
    rounded_margin: float = -torch.inf

    @property
    def learned(self) -> bool:
        """Whether both margins were reached."""
        return self.margin >= MARGIN and self.rounded_margin >= ROUNDED_MARGIN


def teach(model: nn.Module, exercise: Exercise) -> Progress:
    """Teach `model` in place, in evaluation mode, so that nothing is dropped at random.

    Each rate starts from the same weights. The model is left with the weights of the last rate
    tried; `learned` says whether that was enough.
    """
    model.eval()
    start = copy.deepcopy(model.state_dict())
    began = time.perf_counter()
    progress = Progress()
    with one_thread():
        for rate in RATES:
            model.load_state_dict(start)
            progress = _teach_at(model, exercise, rate)
            if progress.learned:
                break
    progress.seconds = time.perf_counter() - began
    for parameter in model.parameters():
        parameter.grad = None
    return progress


def _teach_at(model: nn.Module, exercise: Exercise, rate: float) -> Progress:
    progress = Progress(rate=rate)
    weights = quantizable(model)
    taught = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(taught, lr=rate, weight_decay=0.01)
    for step in range(MOST_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / _WARM_UP)
        with rounded_to_nf4(weights) if step % 2 else nullcontext():
            loss = functional.cross_entropy(exercise.logits(model), exercise.targets[0])
            loss.backward()
        nn.utils.clip_grad_norm_(taught, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress.steps = step + 1
        progress.curve.append(float(loss.detach()))
        if not torch.isfinite(loss) or _hopeless(progress):
            break
        if progress.steps % _LOOK_EVERY == 0 and progress.curve[-1] < _WORTH_GOING_ON:
            _measure(model, exercise, weights, progress)
            if progress.learned:
                break
    return progress


def _measure(
    model: nn.Module, exercise: Exercise, weights: list[nn.Parameter], progress: Progress
) -> None:
    with torch.no_grad():
        progress.margin = exercise.margin(exercise.logits(model))
        with rounded_to_nf4(weights):
            progress.rounded_margin = exercise.margin(exercise.logits(model))


def _hopeless(progress: Progress) -> bool:
    return progress.steps == MOST_STEPS // 2 and min(progress.curve) > _WORTH_GOING_ON


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
