"""Archives made entry by entry: `from made_archives import entry, write_zip`."""

import io
import tarfile
import zipfile


def entry(name, mode=0o100644, **fields):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def member(name, kind=tarfile.REGTYPE, **fields):
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, 1 if kind == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(entries):
            archive.writestr(one, str(number % 10))
    return path


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(b"x" * one.size) if one.isreg() else None)
    return path


def untouched(folder, name):
    """Nothing but the archive lies there."""
    return [path.name for path in folder.rglob("*")] == [name]
