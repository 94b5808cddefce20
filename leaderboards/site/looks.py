"""A figure of the looks that a step was selected by: Dice and accuracy of the validation cases against the step."""

from typing import TYPE_CHECKING

from leaderboards.site.figures import GREY, Drawing, colour, drawing, marker, panels

if TYPE_CHECKING:
    from leaderboards.record import Chosen


@drawing
def looks(chosen: "Chosen") -> Drawing | None:
    """A line for mean Dice and, where it is known, one for accuracy; dashed at the step whose weights are tested.

    None where there is no look.
    """
    lines = {"Dice, mean over structures": chosen.dice, "accuracy, share of pixels": chosen.accuracy}
    if not chosen.dice:
        return None
    figure, (axis,) = panels((1, 1), (5.6, 3.2))
    for i, (told, values) in enumerate(lines.items()):
        if values:
            steps = sorted(values)
            found = [values[step] for step in steps]
            axis.plot(steps, found, color=colour(i), marker=marker(i), markersize=4, linewidth=1.2, label=told)
    axis.axvline(chosen.step, color=GREY, linestyle="--", linewidth=1, label="tested")
    axis.set_xlabel("step")
    axis.set_ylabel("validation cases")
    axis.legend(loc="best", fontsize=8)
    told = "; ".join(f"step {step}: {chosen.dice[step]:.3f}" for step in sorted(chosen.dice))
    return Drawing(figure, f"Mean Dice of the validation cases: {told}. Step {chosen.step} is tested.")
