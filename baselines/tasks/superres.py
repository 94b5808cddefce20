"""The image from one a quarter as fine along each axis: as in DLTK on IXI (Pawlowski et al., 2017)."""

from baselines.task import Task

TASK = Task(kind="image", against="linear", factor=4)
