from __future__ import annotations

import pytest

from compat.outcomes import Stage
from compat.plugin.deadlines import DEFAULTS, Deadlines
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import PairSpec
from compat.targets.selection import SelectionError

FIRST, SECOND = load_registry(default_registry_path()).models[:2]
SLOW = FIRST.model_copy(update={"deadlines": {Stage.CHECK: 9000.0}})


def test_what_is_asked_for_goes_before_the_models_own_and_that_before_the_default():
    assert Deadlines().of(Stage.CHECK, FIRST) == DEFAULTS[Stage.CHECK]
    assert Deadlines().of(Stage.CHECK, SLOW) == 9000
    assert Deadlines.parse(["load=7, check=5"], "here").of(Stage.CHECK, SLOW) == 5
    assert Deadlines.parse(["load=7", ""], "here").of(Stage.LOAD, None) == 7


def test_a_pair_has_the_time_of_its_slower_model():
    assert Deadlines().of(Stage.CHECK, PairSpec(SECOND, SLOW)) == 9000


def test_stages_without_a_limit_of_their_own_have_that_of_their_neighbour():
    asked = Deadlines.parse(["load=7,check=5"], "here")
    assert asked.of(Stage.REQUIREMENTS, FIRST) == 7
    assert asked.of(Stage.PRISTINE, FIRST) == 5


@pytest.mark.parametrize("given", ["check", "check=-1", "check=inf", "pristine=3", "=5"])
def test_anything_else_is_refused(given):
    with pytest.raises(SelectionError, match="not STAGE=SECONDS"):
        Deadlines.parse([given], "here")
