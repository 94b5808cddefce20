"""What a finding of the doctor comes to, and a disk that is made up: `from findings import breaks, warns`."""

from collections import namedtuple


def warns(finding):
    """Something is not right, and the runs go on: no exit code."""
    return finding.ok is False and not finding.required and bool(finding.mend)


def breaks(finding):
    """No run can go on."""
    return finding.ok is False and finding.required and bool(finding.mend)


Usage = namedtuple("Usage", "total used free")
