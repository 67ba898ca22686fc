"""A training step that a CUDA graph replays: what was measured during its capture, each replay measures anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gradscope.recorder.gains import Told
from gradscope.recorder.groups import Group
from gradscope.recorder.layers import Watched
from gradscope.recorder.measure import Measured
from gradscope.recorder.passes import Noted, Seen


@dataclass(frozen=True, kw_only=True)
class Captured:
    """Where the graph puts what it measures."""

    groups: Sequence[Group]
    """Of gradients, weights and updates; empty if the optimiser's step is not in the graph."""
    passes: Mapping[Watched, Seen]
    told: Mapping[tuple[Watched, str], Told]
    has_step: bool
    """Whether the optimiser's step is in the graph."""

    def groups_now(self) -> list[Group]:
        """As the latest replay left them."""
        return [Group(group.kind, group.layers, group.measured.again()) for group in self.groups]

    def passes_now(self) -> dict[Watched, Seen]:
        """As the latest replay left them."""
        return {
            layer: replace(seen, outputs={kind: [_now(one) for one in its] for kind, its in seen.outputs.items()})
            for layer, seen in self.passes.items()
        }


def _now(noted: Noted) -> Noted:
    return noted.again() if isinstance(noted, Measured) else noted
