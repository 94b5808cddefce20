"""What the tests of comparisons share: `from compared import LIMITS, PATIENTS`."""

from leaderboards.gate import Limits

DICE, HD95, NSD = "dice:v1", "hd95:c6-bg-max:v1", "nsd@2mm:c6-bg-pooled:v1"
LIMITS = Limits()
PATIENTS = 8
