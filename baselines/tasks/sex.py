"""Sex of a person from an image of the head: classification, as in DLTK on IXI (Pawlowski et al., 2017)."""

from baselines.task import Task

TASK = Task(kind="class", field="sex")
