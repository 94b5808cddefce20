"""Sites of made-up records, for the tests that read them: `from sites import plain, hostile`."""

from pathlib import Path

from leaderboards.collect import Collected
from leaderboards.record import Record
from leaderboards.site.build import build
from leaderboards.site.content import Extras
from leaderboards.site.logs import Line

HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "</svg></title></style><script>window.hacked=1</script>",
    "\u202egnp.exe\u202c\u2066\u200b",
    "long" * 2500,
    "$\\input{x}$ $\\frac$ {{ 7 * 7 }} {% raw %}",
    "../../../etc/passwd",
    "javascript:window.hacked=1",
    "\t\r\n=cmd()\x00\x1b[31m",
)
Built = tuple[Path, list[Record]]
CASES = tuple(f"p{n}" for n in range(1, 9))


def collected(records):
    """As `collect.load` gives them."""
    records = list(records)
    return Collected(records, ["somewhere/record.json: truncated; left out"], {record.id(): 0 for record in records})


def plain_records(make, score):
    """Two methods, two seeds, two protocols and a phantom; two machines under `full`."""
    records = []
    for dataset, protocol, loss in (("acdc", "full", 0), ("acdc", "semi10", 1), ("phantom-acdc", "full", 2)):
        for method, seed in (("alpha", 0), ("alpha", 1), ("beta", 0), ("beta", 1)):
            hits = [9 - loss - (method == "beta") - (n + seed) % 3 for n in range(len(CASES))]
            cases = [
                score(case, label, tp=hit, hd95=float(10 - hit))
                for case, hit in zip(CASES, hits, strict=True)
                for label in ("liver", "spleen")
            ]
            if method == "beta":
                cases[0] = score("p1", "liver", status="missed")
            machine = {"cpu": "Other CPU" if (method, protocol) == ("beta", "full") else "Some CPU"}
            facts = {"dataset": dataset, "protocol": protocol, "method": method, "seed": seed, "machine": machine}
            records.append(make(tuple(cases), recipe={"train": {"method": method}}, **facts))
    return records


def plain(make, score, folder: Path):
    """A site of harmless names in `folder`, and the records it was made of."""
    records = plain_records(make, score)
    log = tuple(Line(step, {"ce": 1 / (step + 1), "dice": 0.5}) for step in range(0, 50, 10))
    build(collected(records), folder, Extras(logs={records[0].id(): log}))
    return records


def hostile(make, score, folder: Path):
    """A site in which everything that has a name has a bad one."""
    records = []
    for n, name in enumerate(HOSTILE):
        other = HOSTILE[(n + 1) % len(HOSTILE)]
        cases = tuple(score(case, label, tp=5 + n % 4) for case in ("p1", "p2", name) for label in ("liver", other))
        records.append(
            make(
                cases,
                dataset=HOSTILE[n % 2],
                protocol=HOSTILE[2 + n % 2],
                method=name,
                annotator=other,
                draw=other,
                split=other,
                selection=other,
                recipe={other: name, "train": {name: other}},
                machine={"cpu": name, other: other},
                code={name: other},
                digests={"dataset": name, "split": other, f"prediction:{name}": other},
            )
        )
    # One section with rows to rank, each of a bad name.
    for name in HOSTILE[:4]:
        cases = tuple(score(f"{case}{name}", HOSTILE[0], tp=6 + len(name) % 3) for case in CASES)
        records.append(make(cases, dataset=HOSTILE[2], protocol="full", method=name))
    log = tuple(Line(step, {name[:60]: 1.0 for name in HOSTILE}) for step in (0, 1))
    found = collected(records)
    build(found._replace(problems=[*HOSTILE]), folder, Extras(logs={records[0].id(): log}))
    return records
