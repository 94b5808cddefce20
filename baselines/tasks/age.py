"""Age of a person in years from an image of the head: regression, as in DLTK on IXI (Pawlowski et al., 2017)."""

from baselines.task import Task

TASK = Task(kind="number", field="age_years", unit="years")
