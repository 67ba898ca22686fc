"""Every number at which a finding begins, in one place.

They were chosen on labelled trainings of benchmarks/diagnosis.py and checked on others that nobody had seen;
docs/reading-gradients.md says what each one looks like.
"""

from dataclasses import dataclass, fields, replace

from gradscope.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where "somewhat" becomes "too much". Shares are in 0..1, decades are powers of ten."""

    vanishing_decades: float = 1.4
    """The back-propagated error loses so many decades between the output and the input."""
    exploding_decades: float = 1.2
    """It gains so many."""
    dying_decades: float = 1.5
    """The activations lose so many decades between the input and the output."""
    largest_logits: float = 30.0
    """RMS of the output layer at the start."""
    saturated_share: float = 0.8
    """Of a layer's outputs at the ends of its activation."""
    dead_share: float = 0.7
    """Of a layer's units that are zero for a whole batch."""
    least_update: float = 1e-5
    """RMS of a step's update over RMS of the weights."""
    slow_update: float = 6e-4
    """Below this while the loss hardly falls, convergence is slow."""
    largest_update: float = 0.15
    """Above this a step writes over what the steps before it have learned."""
    overwritten: float = 3.0
    """RMS of the weights over that at the start: after a tenth of the training, or at any time if amplified."""
    clipping_spread: float = 0.02
    """A gradient norm that varies by less than this share from record to record is held by clipping."""
    clipping_update: float = 1e-4
    """Steady clipping matters where updates are smaller than this."""
    amplified_decades: float = 1.0
    """A method of treating gradients makes the first layer's so much larger than the last's."""
    conflict_cosine: float = -0.3
    """The gradients of two terms of the loss have a cosine as low as this in a layer."""
    conflict_balance: float = 0.2
    """RMS of the smaller of the two over that of the larger: what is smaller changes little."""
    skipped_share: float = 0.02
    """Of the steps, that gradient scaling skips after its warm-up; one in 2,000 is usual."""
    skipped_at_once: float = 12
    """Attempts at one step; up to eight are usual at the start."""
    plateau_fall: float = 0.05
    """Share by which the loss must have fallen to have left its start."""
    slow_fall: float = 0.25
    """Share by which it must have fallen to have gone somewhere."""
    slow_left: float = 0.4
    """Share of it that is left, above which a loss that goes on falling at small steps has far to go."""
    slow_gain: float = 0.04
    """By how much it falls over a third of the training to go on falling, in units of a network that knows nothing."""
    told_after: float = 0.3
    """Share of the training after which the course of the loss is judged."""
    swings: float = 1.2
    """Sum of all rises of the smoothed loss, in units of the loss of a network that knows nothing."""
    overfitting_rise: float = 0.5
    """Share by which the validation loss has risen above its lowest; half of it where that is clearly no noise."""
    overfitting_noise: float = 6.0
    """So many times what it usually changes by from one validation to the next it has risen, to be clearly no noise."""
    overfitting_loss: float = 0.15
    """By how much it has risen, in units of the loss of a network that knows nothing."""
    overfitting_gap: float = 2.0
    """Validation loss over training loss at the end."""
    by_heart: float = 0.02
    """Training loss, in units of that of a network that knows nothing, below which the pictures are known by heart."""
    apart: float = 0.3
    """Training accuracy less validation accuracy: pictures that are nearly known by heart, and nothing else is."""
    overfitting_level: float = 0.3
    """Validation loss, in the same units, that is too much for a network that knows its pictures by heart."""
    smallest_input: float = 0.03
    """RMS of what goes into the first layer."""
    largest_input: float = 12.0
    zero_outputs: float = 0.2
    """Share of the gradient at the output layer that is exactly zero, at the start."""
    shrunk_output: float = 0.6
    """Gradient at the output layer over that of cross entropy on its logits, at the start."""

    def changed(self, **values: float) -> "Thresholds":
        """With some of them set; ConfigError for a name that is none."""
        known = [f.name for f in fields(self)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ConfigError(f"threshold {unknown[0]!r} is unknown; use one of {', '.join(known)}")
        return replace(self, **values)
