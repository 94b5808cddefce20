"""What the site is made of: pages that are generated, pages that GitHub and Python-Markdown read alike, its links."""

import shlex

import click
import pytest

from bench import catalogue
from bench.cli import group
from bench.protocols import PROTOCOLS
from converters.phantoms import ixi, jsrt
from docsite import commands, datasets, links, modules, protocols
from docsite.markdown import ROOT, relinked, separated
from docsite.nav import nav


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """What sources need that look into the folder before they say what they hold."""
    folder = tmp_path_factory.mktemp("raw")
    ixi.write(folder / "ixi", 1, 0)
    jsrt.write(folder / "jsrt", 1, 0)
    return folder


@pytest.fixture(scope="module")
def made(raw):
    parts = (commands.pages(), datasets.pages(raw), protocols.pages(), modules.pages())
    return {place: text for part in parts for place, text in part}


def test_there_is_a_page_for_each_dataset_protocol_command_and_module(made):
    known = {
        f"datasets/{name}.md" for name in ("acdc", "chaos-ct", "ixi-t1", "jsrt-lungs", "mrbrains18-tissue", "folder")
    }
    known |= {f"protocols/{one.name}.md" for one in PROTOCOLS}
    known |= {f"reference/commands/{verb}.md" for verb in group.list_commands(click.Context(group))}
    known |= {"reference/python/converters/converters.dataset.md", "reference/python/bench/bench.commands.run.md"}
    assert known <= made.keys()
    assert all(text.startswith("# ") and text.endswith("\n") for text in made.values())


def test_every_bench_line_of_a_generated_page_is_a_command_line(made):
    found = 0
    for place, text in made.items():
        for line in text.splitlines():
            if line.startswith("bench ") and not place.startswith("reference/"):
                verb, *rest = shlex.split(line, comments=True)[1:]
                command = group.get_command(click.Context(group), verb)
                assert command.make_parser(click.Context(command)).parse_args(rest)[1] == [], line
                found += 1
    assert found > 60


def test_a_dataset_page_says_licence_labels_steps_and_recipe(made):
    page = made["datasets/acdc.md"]
    for told in (
        "CC-BY-NC-SA-4.0",
        "| MYO | 2 | 2 | 74281007 |",
        "`ssl4mis`",
        "70 / 10 / 20",
        "# bench/recipes/acdc.toml",
    ):
        assert told in page
    assert "<!-- picture: datasets/acdc | " in page


def test_a_protocol_page_names_all_who_may_draw(made):
    page = made["protocols/scribble.md"]
    assert all(f"### {name}\n" in page for name in ("expert", "scribble", "skeleton", "curve"))
    assert "| `band_mm` | 30 | a number from 1 to 1000 |" in page


def test_a_command_page_has_every_option(made):
    command = group.get_command(click.Context(group), "run")
    flags = [flag for option in command.params for flag in option.opts if flag.startswith("--")]
    assert flags and all(f"{flag}" in made["reference/commands/run.md"] for flag in flags)


def test_every_page_stands_in_the_navigation_once(made):
    def places(part):
        for one in part if isinstance(part, list) else part.values():
            yield from [one] if isinstance(one, str) else places(one)

    found = sorted(places(nav(made)))
    written = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    listed = [place for place in made if not place.startswith("reference/python/") or place.endswith("/index.md")]
    assert found == sorted([*written, *listed])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("so:\n- a\n  b\n- c", "so:\n\n- a\n  b\n- c"),
        ("so:\n1. a\n2. b", "so:\n\n1. a\n2. b"),
        ("# so\n\n- a", "# so\n\n- a"),
        ("so\n| a |\n|---|\n| `x \\| y` |", "so\n\n| a |\n|---|\n| `x | y` |"),
        ("```\nso\n- a\n```\nso\n- a", "```\nso\n- a\n```\nso\n\n- a"),
    ],
)
def test_lists_and_tables_begin_where_they_do_on_github(text, shown):
    assert separated(text) == shown


def test_links_lead_where_the_site_has_it():
    page = "[a](../leaderboards/pages/gate.md) [b](tables.md#x) [c](https://x.org) [d](../sweeps/a.toml) [e](schemas/)"
    text, files = relinked(page, "docs/gate.md", "gate.md")
    wanted = "[a](results/gate.md) [b](tables.md#x) [c](https://x.org) [d](files/sweeps/a.toml) [e](schemas/index.md)"
    assert (text, files) == (wanted, {"sweeps/a.toml"})
    assert (
        relinked("[a](docs/extend.md#a-metric)", "CONTRIBUTING.md", "contributing.md")[0] == "[a](extend.md#a-metric)"
    )
    assert relinked("```\n[a](../x.md)\n```", "docs/gate.md", "gate.md")[0] == "```\n[a](../x.md)\n```"


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "b.html").write_text("<h1 id=here>b</h1>", encoding="utf-8")
    wrong = '<a href="c.html">c</a><a href="b.html#there">b</a><a href="#me">a</a>'
    outside = '<script src="https://x.org/a.js"></script><img src="//x.org/a.png">'
    right = '<p id=me><a href="b.html#here">b</a><a href="https://x.org">x</a><a href="mailto:a@b.c">m</a>'
    (tmp_path / "a.html").write_text(wrong.replace("#me", "#you") + outside + right, encoding="utf-8")
    found = links.problems(tmp_path)
    told = [
        "no file at c.html",
        "no anchor b.html#there",
        "no anchor #you",
        "loads https://x.org/a.js",
        "loads //x.org/a.png",
    ]
    assert found == [f"a.html: {one}" for one in told]
    (tmp_path / "a.html").write_text(right, encoding="utf-8")
    assert links.problems(tmp_path) == []
    assert links.problems(tmp_path / "nothing") == ["there is no page"]


def test_every_source_with_a_phantom_has_a_picture_on_its_pages(made):
    shown = [place for place, text in made.items() if place.startswith("datasets/") and "<!-- picture: " in text]
    assert len(shown) >= len(catalogue.phantoms())


def test_a_source_without_made_up_patients_asks_for_no_picture(monkeypatch, tmp_path):
    known = [one for one in catalogue.sources() if one.name in ("acdc", "ixi")]  # ixi looks into the raw folder
    monkeypatch.setattr(catalogue, "sources", lambda: known)
    monkeypatch.setattr(catalogue, "phantoms", list)
    text = dict(datasets.pages(tmp_path))
    assert {"datasets/acdc.md", "datasets/ixi.md"} < text.keys()
    assert all("<!-- picture" not in page for page in text.values())
    assert "no made-up patients in its layout yet" in text["datasets/acdc.md"]
