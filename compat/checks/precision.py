"""Precision: the weights are as narrow as asked, and the answers as close as they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.outcomes import NotApplicable
from compat.targets import Mode

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

HALF = frozenset({Mode.BF16, Mode.FP16})
QUANTIZED = frozenset({Mode.INT8, Mode.NF4, Mode.FP4})
CONVERTED = HALF | QUANTIZED

BOUNDS: dict[Mode, tuple[float, float]] = {
    Mode.FP16: (1e-2, 0.999),
    Mode.BF16: (5e-2, 0.99),
    Mode.INT8: (1e-1, 0.98),
    Mode.NF4: (5e-1, 0.90),
    Mode.FP4: (1.0, 0.80),
}
"""Mode -> largest mean KL divergence in nats, smallest mean cosine of a block's output."""

TAUGHT_BOUNDS: dict[Mode, tuple[float, float]] = {
    Mode.FP16: (1.5e-6, 0.999993),
    Mode.BF16: (1e-4, 0.9988),
    Mode.INT8: (2e-4, 0.9985),
    Mode.NF4: (1e-2, 0.95),
    Mode.FP4: (5e-2, 0.90),
}
"""The same for taught weights, which are sure of their text: about ten times what the worst of the
registry's twins showed on a CPU with AVX512.

Worst divergence, and worst cosine's distance from 1: fp16 1.4e-7 and 6.6e-7, bf16 9.8e-6 and
1.2e-4, int8 2.1e-5 and 1.5e-4, nf4 1.5e-3 and 1.4e-2. In nf4 the bounds are seven and four times
the worst: ten times that would hide a damaged block. In fp4 they are not run by default.
"""

SMALLEST_SHARE = 0.9
"""Routers and other small matrices may stay wide; experts and projections may not."""


@check(Area.PRECISION)
def dtype_as_asked(subject: Subject) -> None:
    """Every weight that is not quantized has the dtype that was asked for."""
    from compat.anatomy.matrices import kept_in_float32

    asked = str(subject.load_measures["dtype"])
    kept = kept_in_float32(subject.model)
    found = {
        name: str(parameter.dtype).removeprefix("torch.")
        for name, parameter in subject.model.named_parameters()
        if parameter.is_floating_point() and name not in kept
    }
    wrong = [f"{name} ({dtype})" for name, dtype in found.items() if dtype != asked]
    subject.measure("dtype", asked)
    subject.measure("kept_in_float32", len(kept))
    assert not wrong, f"{len(wrong)} weights are not {asked}: {', '.join(wrong[:4])}"


@check(Area.PRECISION, needs={"quantized"}, modes=QUANTIZED)
def weights_quantized(subject: Subject) -> None:
    """The matrices of the decoder blocks are really in 8 or 4 bit; what is left out is named."""
    from compat.anatomy.matrices import matrices

    found = [matrix for block in subject.anatomy.blocks for matrix in matrices(block.module)]
    narrow = sum(matrix.elements for matrix in found if matrix.quantized)
    total = sum(matrix.elements for matrix in found)
    left_out = sorted({f"{m.owner} {m.name.split('.')[-1]}" for m in found if not m.quantized})
    share = narrow / total if total else 0.0
    subject.measure("quantized_share", share)
    subject.measure("left_out", ", ".join(left_out) or "nothing")
    assert share >= SMALLEST_SHARE, (
        f"{share:.0%} of the matrices in the decoder blocks are quantized; "
        f"left in full precision: {', '.join(left_out)}"
    )


@check(Area.PRECISION, modes=CONVERTED, loads=1)
def close_to_reference(subject: Subject) -> None:
    """Logits and block outputs are close to the unquantized reference's."""
    reference, run = subject.reference, subject.run
    assert len(run.blocks) == len(reference.blocks), (
        f"{len(run.blocks)} blocks ran, {len(reference.blocks)} in {reference.name}"
    )
    divergence, agreement = _divergence(run.logits, reference.logits)
    cosines = [
        float(_cosine(own, theirs).mean())
        for own, theirs in zip(run.blocks, reference.blocks, strict=True)
    ]
    subject.measure("kl_nats", divergence)
    subject.measure("top1_agreement", agreement)
    subject.measure("smallest_block_cosine", min(cosines))
    subject.measure("reference", reference.name)
    largest, smallest = (TAUGHT_BOUNDS if subject.taught else BOUNDS)[subject.mode]
    assert divergence <= largest, (
        f"diverges from {reference.name} by {divergence:.3g} nats a token, more than {largest:g}"
    )
    if subject.taught:
        assert agreement == 1, (
            f"{1 - agreement:.1%} of the likeliest tokens are others than in {reference.name}"
        )
    assert min(cosines) >= smallest, (
        f"block {cosines.index(min(cosines))} has a cosine of {min(cosines):.4f} to "
        f"{reference.name}, less than {smallest:g}"
    )


def _divergence(logits: Tensor, reference: Tensor) -> tuple[float, float]:
    """Mean KL divergence from the reference in nats, and the share of equal top tokens."""
    own, theirs = logits.log_softmax(-1), reference.log_softmax(-1)
    divergence = (theirs.exp() * (theirs - own)).sum(-1).mean()
    agreement = (own.argmax(-1) == theirs.argmax(-1)).float().mean()
    return float(divergence), float(agreement)


def _cosine(own: Tensor, reference: Tensor) -> Tensor:
    """Cosine of each position's hidden states, (length,)."""
    from torch.nn.functional import cosine_similarity

    return cosine_similarity(own, reference, dim=-1)


@check(Area.PRECISION)
def footprint_as_predicted(subject: Subject) -> None:
    """The weights take the bytes that their dtypes and the quantization's tables explain."""
    from compat.anatomy.matrices import BYTES_PER_ELEMENT, predicted_bytes, stored_scheme

    measured = subject.load_measures["weights_bytes"]
    assert isinstance(measured, int), "the loader measured no weights"
    scheme = subject.mode.traits.quantization or stored_scheme(subject.model)
    if scheme is not None and scheme not in BYTES_PER_ELEMENT:
        raise NotApplicable(f"a prediction for weights that are stored as {scheme}")
    predicted = predicted_bytes(subject.model, subject.dtype.itemsize, scheme)
    subject.measure("predicted_weights_bytes", predicted)
    subject.measure("weights_bytes", measured)
    assert abs(predicted - measured) <= 0.02 * measured, (
        f"weights take {measured} bytes, {predicted} predicted"
    )
