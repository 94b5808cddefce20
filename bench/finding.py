"""One thing that the doctor has looked at."""

import msgspec


class Finding(msgspec.Struct):
    """What was found. `ok` None: a fact without a verdict; False: broken where it is required, else a warning."""

    name: str
    value: str
    ok: bool | None = None
    required: bool = False
    mend: str = ""
