"""How many of what, by kind of weights: evidence of different kinds is never added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from compat.report.count_view import CountView, TallyView, TotalView
from compat.report.evidence import TargetEvidence
from compat.report.marks import case_word, verdict_mark
from compat.report.view import CellView, ModelView
from compat.results.verdict import Word
from compat.targets import Weights

NONE = "no evidence"
MODELS = "Models"


def verdict_counts(words: Iterable[Word]) -> tuple[CountView, ...]:
    """How often each verdict occurs, the best first."""
    counts = Counter(words)
    return tuple(CountView(verdict_mark(word), str(word), counts[word]) for word in Word)


def case_counts(targets: Iterable[TargetEvidence]) -> tuple[CountView, ...]:
    """What the cases of some targets came to, the most frequent first; those not run come last."""
    everything = tuple(targets)
    counts = Counter(case_word(case) for target in everything for case in target.cases.values())
    missing = sum(len(target.missing) for target in everything)
    views = [CountView(mark, word, count) for (word, mark), count in counts.most_common()]
    return (*views, CountView("not-tested", "not run", missing)) if missing else tuple(views)


def tallies_of(
    models: Sequence[ModelView], targets: Collection[TargetEvidence]
) -> Iterator[TallyView]:
    """Models by the evidence that their verdict rests on, then targets and cases by their own.

    What stands in a wrapper is counted apart: it is another question to the same model.
    """
    for wrapper in dict.fromkeys(["", *(model.wrapper for model in models)]):
        title = f"Models in {wrapper}" if wrapper else MODELS
        for evidence in (*map(str, Weights), ""):
            words = [
                model.word
                for model in models
                if (model.wrapper, model.evidence) == (wrapper, evidence)
            ]
            if words:
                yield TallyView(title, evidence or NONE, verdict_counts(words))
    for weights in Weights:
        found = [target for target in targets if target.coordinates.weights is weights]
        if found and weights is not Weights.CONFIG:
            words = [target.verdict.word for target in found]
            yield TallyView("Targets", str(weights), verdict_counts(words))
        if found:
            yield TallyView("Cases", str(weights), case_counts(found))


def totals_of(models: Sequence[ModelView], columns: int) -> tuple[tuple[TotalView, ...], ...]:
    """How the tested cells of each column divide."""
    return tuple(
        tuple(_totals([model.cells[column] for model in models])) for column in range(columns)
    )


def _totals(cells: Sequence[CellView]) -> Iterator[TotalView]:
    for evidence in map(str, Weights):
        words = [cell.word for cell in cells if cell.evidence == evidence]
        if words:
            counts = tuple(count for count in verdict_counts(words) if count.count)
            yield TotalView(evidence, words.count(Word.WORKS), len(words), counts)
