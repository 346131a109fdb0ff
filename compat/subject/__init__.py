"""The subject: a loaded target as a check sees it."""

from compat.subject.config_subject import ConfigSubject
from compat.subject.inputs import Generation, Inputs
from compat.subject.notes import Notes
from compat.subject.pair import PairSubject
from compat.subject.pristine import NotPristineError
from compat.subject.runs import Reference, StreamRun
from compat.subject.subject import Subject

__all__ = [
    "ConfigSubject",
    "Generation",
    "Inputs",
    "NotPristineError",
    "Notes",
    "PairSubject",
    "Reference",
    "StreamRun",
    "Subject",
]
