"""Hooks by which a project or another plugin adds to the suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from compat.plugin.wrappers import WrapperFactory


@pytest.hookspec
def pytest_compat_wrappers(config: pytest.Config) -> Mapping[str, WrapperFactory]:  # type: ignore[empty-body]
    """Offer wrappers: a name, as `--compat-wrapper` and node ids have it, and what makes one.

    What makes a wrapper is called without arguments when a model is about to be wrapped. Import
    torch in there, and not beside it: then a run that loads nothing goes without. See
    `compat.wrappers.Wrapper` for what it has to do. Implement the hook in the conftest.py of the
    rootdir or in a plugin:

        class Halved:
            name = "halved"

            def wrap(self, model, tokenizer, **subject):
                from compat.subject import Subject

                wrapped = Subject(model=model, tokenizer=tokenizer, **subject)
                head = model.get_output_embeddings()
                wrapped.hook = head.register_forward_hook(lambda _head, _args, logits: logits / 2)
                return wrapped

            def unwrap(self, subject):
                subject.hook.remove()

        def pytest_compat_wrappers(config):
            return {"halved": Halved}

    and run the suite over both, on one load a target: `pytest --compat-wrapper bare,halved`.
    """
