"""How a model is trained: what chooses its paths and what an update minimises, as checkpoints keep it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import torch

from fold import sealed
from fold.errors import FoldError
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.registry import pack, unpack_fields
from fold.sampling import SAMPLERS, PathSampler, step_generator
from fold.terms import TERMS, Term

KEY = "method"  # where a checkpoint keeps it


@dataclass(frozen=True)
class Method:
    """The settings of a training that may name classes of others."""

    sampler: PathSampler
    objective: JointObjective

    def check(self, space: PathSpace) -> None:
        """Raises FoldError, before anything is trained, for what a checkpoint could not name again and for a sampler
        whose paths the model has not."""
        names = {"model.sampler": SAMPLERS.name_of(type(self.sampler))}
        for name, term in self.objective.further.items():
            names[f"model.objective.further.{name}"] = TERMS.name_of(_checked_term(name, term))
        for setting, name in names.items():
            if name.startswith("__main__."):
                raise FoldError(f"{setting}: a checkpoint could not name {name}: move the class to a module")
        if _read_back(self) != self:
            raise FoldError(f"a checkpoint could not keep {' or '.join(names)}: expected dataclasses of plain values")
        self._check_paths(space)

    def _check_paths(self, space: PathSpace) -> None:
        for step, progress in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
            paths = self.sampler.paths(space, step, progress, step_generator(0, step)).in_order
            if strange := [path for path in paths if path not in space]:
                raise FoldError(
                    f"model.sampler: {type(self.sampler).__name__} draws the path {strange[0]}, which this model has "
                    f"not: {space.num_layers} layers up to depth {space.deepest.depth}"
                )


def _checked_term(name: str, term: object) -> type[Term]:
    if not isinstance(term, Term):
        raise FoldError(f"model.objective.further.{name} is {term}: expected a subclass of fold.terms.Term")
    return type(term)


def _read_back(method: Method) -> Any:
    """What another process would make of it; the reason why that fails, if it does."""
    kept = io.BytesIO()
    torch.save(pack(method), kept)
    kept.seek(0)
    try:
        return unpack_fields(Method, torch.load(kept, weights_only=True))
    except Exception as error:  # of classes that we do not know
        raise FoldError(
            f"model.sampler, model.objective: a checkpoint could not keep them: {sealed.reason(error)}"
        ) from None
