"""Who is in training, validation and test, and which training subjects get labels. Rule: `docs/protocols.md`."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from converters.dataset import Dataset, Split
from converters.errors import BenchError, UsageError, closest, unknown_name
from converters.files import read_json, sha256, write_json

DEFAULT = "default"
_BY_HASH = "--draw 0, which orders all subjects by hash"
_RULE = "frugalseg: {0}/{1}/{2} % of {3} in the order of sha256('split/<subject>')"
_LABELLED, _ALL = "the subjects", "all subjects, with or without a label map,"


class Shares(NamedTuple):
    """A rule that splits are made by: percent of the subjects for training, validation and test."""

    train: int
    val: int
    test: int
    everybody: bool = False  # whoever has a label map; else those who have none are never tested

    @property
    def name(self) -> str:
        """What a split made by it is called where that is not `default`."""
        return f"{'all-' if self.everybody else ''}{self.train}-{self.val}-{self.test}"

    @property
    def source(self) -> str:
        """What such a split says of where it comes from."""
        return _RULE.format(self.train, self.val, self.test, _ALL if self.everybody else _LABELLED)


_DEFAULT = Shares(70, 10, 20)


def order(subjects: Iterable[str], draw: int | str) -> tuple[str, ...]:
    """The subjects in the order of sha256(`<draw>/<subject>`): the same on every machine and for every input order."""
    return tuple(sorted(set(subjects), key=lambda subject: sha256(f"{draw}/{subject}".encode())))


def count(percent: int, n: int) -> int:
    """`percent` of n subjects, rounded up, at least one."""
    return max(1, -(-percent * n // 100))


def labelled(split: Split, percent: int, draw: int | str) -> tuple[str, ...]:
    """The training subjects whose labels may be seen, in draw order; fewer lie inside more.

    An int draws by hash. A str names a published list of the split, of which the first are taken; where all subjects
    are labelled the list does not matter.

    Raises:
        UsageError: the split has no draw of that name.
        BenchError: there is no training subject, or the list is too short or names somebody who has no label.
    """
    k = count(percent, len(split.train))
    if not split.train:
        raise BenchError(f"split '{split.name}' of {split.dataset} has no labelled training subject")
    if isinstance(draw, int) or k == len(split.train):
        return order(split.train, draw)[:k]
    published = _published(split, draw)
    if k > len(published):
        raise BenchError(
            f"draw '{draw}' of split '{split.name}' holds {len(published)} subjects; "
            f"{percent} % of {len(split.train)} are {k}",
            mend=f"take a smaller share, or {_BY_HASH}",
        )
    if absent := sorted(set(published[:k]) - set(split.train)):
        raise BenchError(f"draw '{draw}' names {_some(absent)}: no labelled training subject", mend=_BY_HASH)
    return published[:k]


def freeze_default(dataset: Dataset) -> Split:
    """Write splits/default.json, once per content, and give it back.

    70/10/20 % of the subjects that have a reference label, in hash order: at least one of two or more subjects for
    test and one for training; validation may be empty below five. Where the organiser held out labelled cases
    (imagesTs), these are the test side and the rest is divided 70/10. Where no subject has one, all are divided so, for
    the tasks that need no label map (`docs/tasks.md`). Else subjects without any label train, except the
    organiser's unlabelled test cases, which stand on no side. Copies of one subject stay together.

    Raises:
        BenchError: there is another default split for this very content.
    """
    path = dataset.root / "splits" / f"{DEFAULT}.json"
    made = _by_shares(dataset, DEFAULT, _DEFAULT)
    if path.is_file():
        there = read_json(path, Split)
        if there.content_sha256 == made.content_sha256 and there != made:
            raise BenchError(
                "the default split on disk is not the one this version makes",
                where=path,
                mend="a frozen split is never overwritten: give yours another name, or remove the file",
            )
    write_json(path, made)
    return made


def resolve(dataset: Dataset, name: str) -> Split:
    """The named split, fit to train and test with.

    `60-20-20`, where no file has that name, is so many percent of the subjects for training, validation and test, by
    the rule of the default split; any three that add up to 100 are such a name. `all-60-20-20` is the same of all
    subjects, whether they have a label map or not.

    Raises:
        UsageError: there is no split of that name; says which is nearest.
        BenchError: it overlaps, belongs to other content, names absent subjects, or leaves a side empty.
    """
    path = dataset.root / "splits" / f"{name}.json"
    known = [file.stem for file in path.parent.glob("*.json")]
    shares = _shares(name) if name not in known else None
    if name not in known and shares is None:
        raise unknown_name("split", name, known)
    split = dataset.split(name) if shares is None else _by_shares(dataset, name, shares)
    absent = sorted({*split.train, *split.val, *split.test} - set(dataset.subjects))
    if absent:
        raise BenchError(
            f"split '{name}' names subjects that {dataset.name} does not hold: {_some(absent)}",
            where=path,
            mend="convert the whole dataset again, without --skip",
        )
    for side, subjects in (("training", split.train), ("test", split.test)):
        if not subjects:
            raise BenchError(
                f"split '{name}' has no {side} subject",
                where=path,
                mend=f"{dataset.name} holds {len(dataset.subjects)} subject(s): convert more, at least two with labels",
            )
    return split


def parse_draw(text: str) -> int | str:
    """A draw as typed: digits are a hash draw, anything else names a published list.

    Raises:
        UsageError: it is empty or a negative number.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    if not text or text.lstrip("-").isdecimal():
        raise UsageError(f"'{text}' is no draw", mend="a number from 0, or the name of a published list (bench ls)")
    return text


def _published(split: Split, draw: str) -> tuple[str, ...]:
    if draw in split.draws:
        return split.draws[draw]
    near = closest(draw, split.draws)
    raise UsageError(
        f"split '{split.name}' has no draw '{draw}'." + (f" Did you mean '{near}'?" if near else ""),
        mend=f"draws here: {', '.join(sorted(split.draws)) or 'none'}; or {_BY_HASH}",
    )


def of_everybody(dataset: Dataset, split: Split) -> str | None:
    """The split by the same shares of all subjects, where some are not tested for having no label map; else None."""
    shares, with_label = _shares_of(split), _with_label(dataset)
    if shares is None or shares.everybody or not with_label or with_label.issuperset(split.train):
        return None
    return shares._replace(everybody=True).name


def _shares_of(split: Split) -> Shares | None:
    """The rule a split was made by; None where somebody wrote it down."""
    shares = _DEFAULT if split.name == DEFAULT else _shares(split.name)
    return shares if shares is not None and split.source == shares.source else None


def _shares(name: str) -> Shares | None:
    """The rule that `60-20-20` or `all-60-20-20` names; None where the name is none of that kind."""
    found = re.fullmatch(r"(all-)?([1-9]\d?)-([1-9]\d?|0)-([1-9]\d?)", name)
    if not found:
        return None
    shares = Shares(int(found[2]), int(found[3]), int(found[4]), bool(found[1]))
    return shares if shares.train + shares.val + shares.test == 100 else None


def _by_shares(dataset: Dataset, name: str, shares: Shares) -> Split:
    # Where nobody has a label map the targets are values or images, and anybody can be tested on.
    with_label = (set() if shares.everybody else _with_label(dataset)) or set(dataset.subjects)
    held_out = {c.subject for c in dataset.cases if any(i.file.startswith("imagesTs/") for i in c.images.values())}
    test = order(with_label & held_out, "split")
    rest = _units(dataset, with_label - held_out)
    n = sum(map(len, rest))
    if not test:
        rest, test = _cut(rest, max(1, round(n * shares.test / 100)))
    # Of what is left when the test side is away; nobody is spared for validation below five subjects.
    spared = sum(map(len, rest)) * shares.val / (100 - shares.test)
    rest, val = _cut(rest, max(1, round(spared)) if n >= 5 and shares.val else 0)
    unlabelled = order(set(dataset.subjects) - with_label - held_out, "split")
    return Split(
        name=name,
        dataset=dataset.name,
        content_sha256=dataset.file.bench.content_sha256,
        train=(*(subject for unit in rest for subject in unit), *unlabelled),
        val=val,
        test=test,
        source=shares.source,
    )


def _with_label(dataset: Dataset) -> set[str]:
    return {case.subject for case in dataset.cases if case.label is not None}


def _units(dataset: Dataset, subjects: set[str]) -> list[tuple[str, ...]]:
    """The subjects in hash order, each with those who are known to have the same images."""
    twins = {subject: group for group in dataset.file.bench.copies for subject in group}
    units: dict[tuple[str, ...], None] = {}
    for subject in order(subjects, "split"):
        units[order(subjects & set(twins.get(subject, (subject,))), "split")] = None
    return list(units)


def _cut(units: list[tuple[str, ...]], least: int) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The units without the last ones, and the subjects of these: at least so many, but never all units."""
    keep = len(units)
    while keep > 1 and sum(map(len, units[keep:])) < least:
        keep -= 1
    return units[:keep], tuple(subject for unit in units[keep:] for subject in unit)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
