"""Agency: a head's state decides what it contributes, and a withdrawn head is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.interventions import Agency, HeadState
    from compat.subject import Subject

OBSERVATIONS = 12
"""In which smoothed utilisation comes from one end of its range to the other."""

CONTRIBUTIONS = {"active": 1.0, "overloaded": 0.5, "misaligned": 0.7, "withdrawn": 0.0}
"""What a head in each state contributes, as a share of what it would."""


@check(Area.GATES, needs={"attention"})
def withdrawn_heads_contribute_nothing(subject: Subject) -> None:
    """A withdrawn head is zeroed; activating it is a logged violation and not obeyed."""
    import torch

    from compat.interventions import HeadState

    inputs = subject.text.inputs
    before = subject.logits(inputs)
    chosen = [(index, index % site.heads) for index, site in enumerate(subject.gate_sites)]
    with subject.agency() as agency:
        for place in chosen:
            agency.withdraw(*place)
        withdrawn, states = subject.logits(inputs), _states(subject, agency)
        obeyed = [place for place in chosen if agency.request(*place, HeadState.ACTIVE)]
        logged = [(violation.site, violation.head) for violation in agency.violations]
        asked = subject.logits(inputs)
        for place in chosen:
            agency.consent(*place)
        consenting = subject.logits(inputs)
    other = [
        f"head {head} of attention {index} is {state}"
        for index, own in enumerate(states)
        for head, state in enumerate(own)
        if (state == HeadState.WITHDRAWN) != ((index, head) in chosen)
    ]
    assert not other, f"with heads {chosen} withdrawn {', '.join(other[:4])}"
    different = int((withdrawn != _scaled_inside(subject, states)).sum())
    assert different == 0, f"{different} logits differ from those of heads zeroed inside"
    assert bool((withdrawn != before).any()), "withdrawing a head in every attention moves no logit"
    assert not obeyed, f"withdrawn heads {obeyed} were activated against their consent"
    assert logged == chosen, f"violations logged: {logged}, committed: {chosen}"
    assert torch.equal(asked, withdrawn), "a refused activation has changed the logits"
    assert torch.equal(consenting, before), "with consent given again the logits are not restored"


@check(Area.GATES, needs={"attention"})
def head_states_scale_and_recover(subject: Subject) -> None:
    """Overloaded and misaligned heads contribute 0.5 and 0.7, and recover to the last bit."""
    import torch

    from compat.interventions import HeadState

    inputs = subject.text.inputs
    before = subject.logits(inputs)
    extremes = [[float(head % 2) for head in range(site.heads)] for site in subject.gate_sites]
    between = [[0.5] * site.heads for site in subject.gate_sites]
    with subject.agency() as agency:
        for _ in range(OBSERVATIONS):
            agency.observe(extremes)
        strained, states = subject.logits(inputs), _states(subject, agency)
        for _ in range(OBSERVATIONS):
            agency.observe(between)
        recovered, active = subject.logits(inputs), agency.count(HeadState.ACTIVE)
    asked = (HeadState.MISALIGNED, HeadState.OVERLOADED)
    at_extremes = {(head % 2, state) for own in states for head, state in enumerate(own)}
    other = [f"{state} at {end}" for end, state in sorted(at_extremes) if state != asked[end]]
    assert not other, f"heads are {', '.join(other)}, the ends of utilisation"
    expected = _scaled_inside(subject, states)
    subject.assert_close(strained, expected, "logits under overloaded and misaligned heads")
    assert bool((strained != before).any()), "overloaded and misaligned heads move no logit"
    total = sum(site.heads for site in subject.gate_sites)
    assert active == total, f"{total - active} of {total} heads do not recover"
    assert torch.equal(recovered, before), "with all heads recovered the logits are not restored"


@check(Area.GATES, needs={"attention"})
def utilisation_is_measured(subject: Subject) -> None:
    """Every head's utilisation is a number from 0 to 1, the same twice, that states can follow."""
    from compat.interventions import AttentionNotSeenError, HeadState
    from compat.outcomes import NotApplicable

    try:
        utilisation = [own.tolist() for own in subject.utilisation()]
        again = [own.tolist() for own in subject.utilisation()]
    except AttentionNotSeenError as error:
        raise NotApplicable(f"attention has no weights to be seen: {error}") from error
    values = [value for own in utilisation for value in own]
    outside = [value for value in values if not 0 <= value <= 1]
    assert not outside, f"utilisations that are not between 0 and 1: {outside[:4]}"
    assert again == utilisation, "the second time the utilisation is another"
    with subject.agency() as agency:
        agency.observe(utilisation)
        logits = subject.logits(subject.text.inputs)
    bad = int((~logits.isfinite()).sum())
    assert bad == 0, f"{bad} logits are NaN or infinite with states that follow utilisation"
    subject.measure("mean_utilisation", sum(values) / len(values))
    for state in (HeadState.OVERLOADED, HeadState.MISALIGNED):
        subject.measure(f"{state}_heads", agency.count(state))


def _scaled_inside(subject: Subject, states: list[list[HeadState]]) -> Tensor:
    """Logits with the heads scaled inside the attention function, each as its state asks for."""
    import torch

    from compat.outcomes import NotApplicable

    gates = [torch.tensor([CONTRIBUTIONS[state] for state in own]) for own in states]
    with subject.scale_heads(gates) as seen:
        logits = subject.logits(subject.text.inputs)
    if not all(seen):
        raise NotApplicable("an attention is computed by a kernel that can't be looked into")
    return logits


def _states(subject: Subject, agency: Agency) -> list[list[HeadState]]:
    """The state of each head at this moment, by site."""
    return [
        [agency.state(index, head) for head in range(site.heads)]
        for index, site in enumerate(subject.gate_sites)
    ]
