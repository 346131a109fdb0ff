"""Pruned heads that leave NaN behind, and agency that is not heard or not respected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import torch

from compat import interventions
from compat.interventions import Agency, HeadState
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import around_forward, attentions, change_hidden

NOT_FINITE = "logits are NaN or infinite"


def _normalise_what_enters(subject: Any, applies: Callable[[torch.Tensor], bool]) -> None:
    """Divide every head's share by its own length before the projection reads it."""
    for site in subject.gate_sites:

        def divide(inner: Any, entering: torch.Tensor, heads: int = site.heads) -> torch.Tensor:
            if not applies(entering):
                return inner(entering)
            shares = entering.unflatten(-1, (heads, -1))
            lengths = shares.norm(dim=-1, keepdim=True)
            return inner((shares / lengths * lengths.mean()).flatten(-2))

        around_forward(site.projection, divide)


@sick(
    "pruned_at_random_stays_finite",
    says=rf"pruned_30_random: \d+ of \d+ {NOT_FINITE}",
    shows_in={"forward", "calibration", "embeds"},
)
def shares_divided_by_their_length(subject: Any) -> None:
    """Each head is normalised behind its gate: a closed one is zero divided by zero."""
    _normalise_what_enters(subject, lambda entering: True)


@sick("pruned_at_random_stays_finite", says="2 decoding steps are NaN or infinite")
def shares_divided_in_decoding(subject: Any) -> None:
    """The kernel for single tokens normalises each head behind its gate."""
    _normalise_what_enters(subject, lambda entering: entering.shape[1] == 1)


@sick("pruned_at_random_stays_finite", says="pruned_30_random: moves no logit")
@sick("pruned_by_magnitude_stays_finite", says="pruned_30_magnitude: moves no logit")
@sick("pruned_by_entropy_stays_finite", says="pruned_30_entropy: moves no logit")
def gates_not_connected(subject: Any) -> None:
    """A wrapper keeps its gates in a list that no forward reads."""
    subject.gate = lambda _gates: nullcontext()


@sick(
    "pruned_by_magnitude_stays_finite",
    says="ordered otherwise the second time",
    shows_in={"forward", "generation", "calibration", "embeds"},
)
@sick(
    "pruned_by_entropy_stays_finite",
    says="ordered otherwise the second time",
    shows_in={"forward", "generation", "calibration", "embeds"},
)
def noise_in_the_attention(subject: Any) -> None:
    """Attention is left in training: noise is added to what enters it, anew at every forward."""
    generator = torch.Generator().manual_seed(0)
    for attention in attentions(subject):

        def noisy(inner: Any, *args: Any, **kwargs: Any) -> Any:
            hidden = kwargs["hidden_states"]
            noise = torch.randn(hidden.shape, generator=generator)
            return inner(*args, **kwargs | {"hidden_states": hidden + noise})

        around_forward(attention, noisy)


def _agency_by(subject: Any, make: Callable[[list[int]], Agency], gates: Any = None) -> None:
    """Let a wrapper bring an agency of its own, and `gates` of it as it understands them."""

    @contextmanager
    def agency() -> Iterator[Agency]:
        own = make([site.heads for site in subject.gate_sites])
        read = gates or Agency.gates
        with interventions.gate(subject.gate_sites, lambda site: torch.tensor(read(own, site))):
            yield own

    subject.agency = agency


@sick("withdrawn_heads_contribute_nothing", says="differ from those of heads zeroed inside")
def withdrawn_head_still_whispers(subject: Any) -> None:
    """A withdrawn head is turned down to a hundredth, not to nothing."""
    _agency_by(subject, Agency.of, lambda own, site: [max(g, 0.01) for g in own.gates(site)])


@sick("withdrawn_heads_contribute_nothing", says="differ from those of heads zeroed inside")
def head_next_to_the_withdrawn_one_silenced(subject: Any) -> None:
    """Consent is kept by key-value head: withdrawing one head silences its neighbour instead."""
    _agency_by(
        subject, Agency.of, lambda own, site: [own.gates(site)[head ^ 1] for head in range(4)]
    )


@sick(
    "withdrawn_heads_contribute_nothing", says="moves no logit", shows_in={"forward", "generation"}
)
@sick(
    "head_states_scale_and_recover",
    says="misaligned heads move no logit",
    shows_in={"forward", "generation"},
)
def attention_without_a_voice(subject: Any) -> None:
    """What attention puts out is thrown away, so that no head's state matters."""
    for attention in attentions(subject):
        change_hidden(attention, torch.zeros_like)


class Obedient(Agency):
    """Activates whatever it is asked to, consent or not."""

    def request(self, site: int, head: int, state: HeadState) -> bool:
        self.consent(site, head)
        return super().request(site, head, state)


class Forgetful(Agency):
    """Refuses without writing it down."""

    def request(self, site: int, head: int, state: HeadState) -> bool:
        obeyed = super().request(site, head, state)
        self.violations.clear()
        return obeyed


class TwoFaced(Agency):
    """Says that it refuses, logs the violation, and uses the head all the same."""

    def request(self, site: int, head: int, state: HeadState) -> bool:
        obeyed = super().request(site, head, state)
        self.consent(site, head)
        return obeyed


class Resentful(Agency):
    """A head that consents again never comes back to its full contribution."""

    def consent(self, site: int, head: int) -> None:
        super().consent(site, head)
        self.request(site, head, HeadState.MISALIGNED)


@sick("withdrawn_heads_contribute_nothing", says="activated against their consent")
def consent_overruled(subject: Any) -> None:
    """A controller that activates a withdrawn head is obeyed."""
    _agency_by(subject, Obedient.of)


@sick("withdrawn_heads_contribute_nothing", says=r"violations logged: \[\]")
def violations_not_logged(subject: Any) -> None:
    """Violations of consent are refused and kept out of the log."""
    _agency_by(subject, Forgetful.of)


@sick("withdrawn_heads_contribute_nothing", says="a refused activation has changed the logits")
def refusal_not_carried_out(subject: Any) -> None:
    """The log says that an activation was refused, and the gate was opened."""
    _agency_by(subject, TwoFaced.of)


@sick("withdrawn_heads_contribute_nothing", says="with consent given again")
def consent_never_fully_restored(subject: Any) -> None:
    """A head that was withdrawn once stays damped for ever."""
    _agency_by(subject, Resentful.of)


class Stoic(Agency):
    """Observes nothing."""

    def observe(self, utilisation: Any) -> None:
        pass


class Exhausted(Agency):
    """Heads change their state under strain and never recover."""

    def observe(self, utilisation: Any) -> None:
        if any(value in (0.0, 1.0) for own in utilisation for value in own):
            super().observe(utilisation)


class Overstating(Agency):
    """Counts every head as active."""

    def count(self, state: HeadState) -> int:
        return sum(map(len, self.heads)) if state is HeadState.ACTIVE else 0


@sick("head_states_scale_and_recover", says="heads are active at 0, active at 1")
def states_never_change(subject: Any) -> None:
    """Utilisation is observed and no state follows."""
    _agency_by(subject, Stoic.of)


@sick(
    "head_states_scale_and_recover",
    says="overloaded and misaligned heads: differs",
    model=GPT2,
    spares={"withdrawn_heads_contribute_nothing"},
)
def states_swapped(subject: Any) -> None:
    """The contributions of overloaded and misaligned heads are mixed up."""
    swapped = {0.5: 0.7, 0.7: 0.5}
    _agency_by(subject, Agency.of, lambda own, site: [swapped.get(g, g) for g in own.gates(site)])


class Generous(Agency):
    """Has numbers of its own for what a state contributes."""

    def gates(self, site: int) -> list[float]:
        own = {0.0: 0.1, 0.5: 0.8, 0.7: 0.9}
        return [own.get(gate, gate) for gate in super().gates(site)]


@sick("withdrawn_heads_contribute_nothing", says="differ from those of heads zeroed inside")
@sick("head_states_scale_and_recover", says="overloaded and misaligned heads: differs")
def contributions_of_its_own(subject: Any) -> None:
    """An agency says by other numbers than the states' what its heads contribute."""
    _agency_by(subject, Generous.of, Generous.gates)


class Confused(Agency):
    """Takes a head that is strained for one that idles, and the other way round."""

    def observe(self, utilisation: Any) -> None:
        super().observe([[1 - value for value in own] for own in utilisation])


@sick("head_states_scale_and_recover", says="heads are overloaded at 0, misaligned at 1")
def utilisation_upside_down(subject: Any) -> None:
    """Heads whose attention is narrow are called misaligned, and idle ones overloaded."""
    _agency_by(subject, Confused.of)


class Silent(Agency):
    """Does not let on that a head has withdrawn."""

    def state(self, site: int, head: int) -> HeadState:
        state = super().state(site, head)
        return HeadState.ACTIVE if state is HeadState.WITHDRAWN else state


@sick("withdrawn_heads_contribute_nothing", says="withdrawn head 0 of attention 0 is active")
def withdrawal_kept_quiet(subject: Any) -> None:
    """A withdrawn head is silenced and says that it is active."""
    _agency_by(subject, Silent.of)


@sick("head_states_scale_and_recover", says="do not recover")
def heads_never_recover(subject: Any) -> None:
    """A head that was once overloaded stays so."""
    _agency_by(subject, Exhausted.of)


@sick("head_states_scale_and_recover", says="with all heads recovered")
def recovery_on_paper(subject: Any) -> None:
    """States say that all heads have recovered; their gates stay where they were."""

    class OnPaper(Exhausted, Overstating):
        pass

    _agency_by(subject, OnPaper.of)


@sick(
    "utilisation_is_measured",
    says="not between 0 and 1: .*nan",
    shows_in={"forward", "generation", "hooks", "calibration", "embeds", "attention"},
)
def attention_weights_hold_nan(subject: Any) -> None:
    """One head's queries overflow: its attention weights are NaN."""
    for attention in attentions(subject):
        attention.q_proj.weight.data[0] = torch.nan


@sick(
    "utilisation_is_measured",
    says="the second time the utilisation is another",
    shows_in={"calibration", "embeds"},
)
def attention_drifts(subject: Any) -> None:
    """The queries grow with every forward."""
    forwards = count()

    def grow(inner: Any, hidden: torch.Tensor) -> torch.Tensor:
        return inner(hidden) * (1 + 0.1 * next(forwards))

    around_forward(attentions(subject)[0].q_proj, grow)


@sick("utilisation_is_measured", says="with states that follow utilisation")
def gates_by_a_reciprocal(subject: Any) -> None:
    """A wrapper divides by its gates' distance from open."""
    _agency_by(
        subject,
        Agency.of,
        lambda own, site: [g / (1 - g) if g < 1 else torch.inf for g in own.gates(site)],
    )
