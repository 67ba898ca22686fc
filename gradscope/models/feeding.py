"""Which layer gets all that an activation gives, and nothing else."""

from collections import Counter

from torch import fx, nn

_PASSING = (nn.Flatten, nn.Identity)
"""Between an activation and a layer these change no number."""


def fed_by_one(model: nn.Module) -> dict[str, str]:
    """Each Linear or Conv2d whose input is the output of one module, which feeds nothing else: its name to that one's.

    Read from the traced forward pass (torch.fx), so a shortcut, a second exit or a module that runs twice is seen. A
    forward hook on the module, or on one around it, may hand its output to anybody.
    Empty where a forward pass cannot be traced, as one that looks at the values: nothing is known of it then.
    """
    try:
        graph = fx.Tracer().trace(model)
    except Exception:  # whatever a foreign forward pass does when it is handed stand-ins for tensors
        return {}
    heard = {name for name, module in model.named_modules() if module._forward_hooks}
    calls = graph.find_nodes(op="call_module")
    runs = Counter(node.target for node in calls)
    found = {}
    for node in calls:
        if isinstance(model.get_submodule(node.target), nn.Linear | nn.Conv2d):
            feeder = _feeder(model, node)
            if feeder and runs[node.target] == runs[feeder] == 1 and heard.isdisjoint(_around(feeder)):
                found[node.target] = feeder
    return found


def _around(name: str) -> list[str]:
    """The module and those that hold it, up to the model, by name.

    >>> _around("conv.2")
    ['', 'conv', 'conv.2']
    """
    parts = name.split(".")
    return ["", *(".".join(parts[: i + 1]) for i in range(len(parts)))]


def _feeder(model: nn.Module, node: fx.Node) -> str | None:
    """Name of the module that alone gives the node its input."""
    before = node.args[0] if node.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    name = str(before.target)
    return _feeder(model, before) if isinstance(model.get_submodule(name), _PASSING) else name
