"""What annotators of version 1 draw, byte for byte: that stays for ever."""

import hashlib

import numpy as np
import pytest
from test_simulators import EVERY, drawn
from tiny import SPACING, heart

from bench.annotator import find, names
from converters.dataset import IGNORE

# Of two hearts, one of them turned and in part not annotated, and a slice without structures; default options.
FIRST = {
    "scribble": "1b86e73edbd1035ef63f5d8979b3a46ee45a30c7e89acd3829d293667b95a5f5",
    "skeleton": "5f6af6af22c8856f4379927c620b2b297b7e97f9520ae710d085a0b77a92d9ec",
    "curve": "703e3eed881d39163ffc54a5cc2267da2229b89b16f6f87c4088bd8d848b93a7",
    "clicks": "dd148b8370ce951356fef4d557b9b866854aea831425f23bfe766b782c2a742f",
    "slices": "9de5143acc630d08e5ff0583d049c83762cddea980426e1ce78ff020b8945b1a",
    "classes": "5131acc118b09bb04272405d051d97d938ac76593522570da108263c3fb113bc",
    "box": "08db5b72766b4b28699a3b512cc8eec78fd3c192274261d074229bc49e61ae75",
    "boundary": "caeba7ee5268bb5fdd93ad48777e4d331ea94a8b1ea5d0fc7576022288f14a05",
    "dilate": "4f26e2aaed0f5901b4180c7ae7fe6b3081210a18a94e67c2223521bcebe23669",
    "erode": "47f8229d85d387a66ab5d04ddf7070008804273c69e1d311b6e057a04f4ff662",
    "edge": "3e95a53c98fc20e5708772d6a34086c5964d00d5efe1a7d1e990482cf6e8f6ef",
    "affine": "008ac208149126b9d2a4bb92dfbfe6baa0e19543b3e4ef18f7f40bde6f5384fb",
    "elastic": "bf227db6251647ac167c39009a007988d0978a49d83d79f8a2b25197f2f10289",
    "polygon": "44a48732e8a1de8a48c0bd23b7928e179757716f812af34c6c02a1ee4f210f69",
    "missing": "0d913f3739a10ffad51ab0682e686ad4597fc9d54653cbc9db808bf37ea09601",
    "swap": "be71a6fce3ca2312b27cdcb1cb6616131ee03ac29247603d80eefdb30a2035e9",
    "jsrt": "29a5537e3ee623f239318d255d87f7d2123bd4c8f0a15c3ee6d82ba1f99f2547",
}
# What such small hearts do not reach: strokes that are moved, structures that JSRT noise erodes.
LARGE = {
    "skeleton": "a6f3265d8929e4c85a5e61307d0c3bf7583bc63760b83ebb91f1dbc7fcd01f72",
    "jsrt": "2fadefdf17c2674303beff6c855e0c38f6257b8b72e3df074b4e1b168d789717",
}


def digest(*label_maps):
    found = hashlib.sha256()
    for label in label_maps:
        found.update(np.ascontiguousarray(label).tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", EVERY)
def test_version_1_draws_the_same_bytes_for_ever(name):
    turned = np.moveaxis(heart("b-es", (48, 44, 4)), 2, 0).copy()
    turned[:, :9] = IGNORE
    empty = heart("c", (40, 40, 1))
    assert not empty.any()
    assert FIRST[name] == digest(
        drawn(name, heart("a", (64, 60, 5)), 0),
        drawn(name, turned, 1, (8.0, 1.5, 1.25), 0),
        drawn(name, empty, 2),
    )


@pytest.mark.parametrize("name", LARGE)
def test_version_1_draws_the_same_on_large_hearts(name):
    label = heart("d", (160, 150, 3))
    assert LARGE[name] == digest(*(drawn(name, label, seed, SPACING) for seed in (4, 5)))


def test_no_two_annotators_are_told_alike():
    """A second version is a file of its own, and records name what drew by these words."""
    told = [find(name).told for name in names()]
    assert len(set(told)) == len(told)
