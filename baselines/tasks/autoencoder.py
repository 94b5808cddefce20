"""The image itself through a narrow code: representation learning, as in DLTK on IXI (Pawlowski et al., 2017)."""

from baselines.task import Task

TASK = Task(kind="image", against="mean_image")
