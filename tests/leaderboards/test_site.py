"""The site as files: what there is, what it links to, what it must never hold (faults rows 78 and 79)."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import msgspec
import pytest
from contents import tree
from sites import HOSTILE, collected, plain_records

from converters.errors import BenchError
from leaderboards.site.build import build
from leaderboards.site.content import Extras, Picture, slug

POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"
FILE = re.compile(r"[a-z0-9][a-z0-9.-]*")


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data} "

    def values(self, *names):
        return [value for _, attrs in self.tags for name, value in attrs.items() if name in names]


def pages(folder):
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}


@pytest.fixture(params=["site", "bad_site"])
def folder(request):
    return request.getfixturevalue(request.param)[0]


def test_there_is_a_page_per_dataset_and_protocol_and_one_per_run(site):
    folder, records = site
    found = set(pages(folder))
    assert {"acdc/full.html", "acdc/semi10.html", "phantom-acdc/full.html"} <= found
    assert {f"runs/{record.id()[:12]}.html" for record in records} <= found
    assert found - {page for page in found if page.startswith(("runs/", "acdc/", "phantom-acdc/"))} == {"index.html"}


def test_every_link_leads_to_a_file_of_the_site(folder):
    for name, text in pages(folder).items():
        for link in Tags(text).values("href", "src"):
            if link == "#content":
                continue
            assert not re.match(r"[a-z]+:|//", link, re.IGNORECASE), f"{name}: {link}"
            target = (folder / name).parent / unquote(link)
            assert target.is_file() and target.resolve().is_relative_to(folder.resolve()), f"{name}: {link}"


def test_every_file_is_linked_to(folder):
    reached = {folder / "index.html"}
    for name, text in pages(folder).items():
        reached |= {((folder / name).parent / unquote(link)).resolve() for link in Tags(text).values("href", "src")}
    assert {path.resolve() for path in folder.rglob("*") if path.is_file()} <= {path.resolve() for path in reached}


def test_pages_forbid_everything_from_elsewhere_and_hold_no_script_or_style_of_their_own(folder):
    for text in pages(folder).values():
        found = Tags(text)
        policies = [a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policies == [POLICY]
        scripts = [attrs for tag, attrs in found.tags if tag == "script"]
        assert len(scripts) == 1 and scripts[0]["src"].endswith("assets/site.js")
        assert not {tag for tag, _ in found.tags} & {"style", "iframe", "object", "embed", "form", "base"}
        assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on") or name == "style"]


@pytest.mark.fault(78)
def test_bad_names_stay_text(bad_site):
    folder, _ = bad_site
    text = "".join(Tags(page).text for page in pages(folder).values())
    assert HOSTILE[0] in text and "\\u202egnp.exe" in text and "{{ 7 * 7 }}" in text
    assert "\u202e" not in text and "\x1b" not in text
    assert max(len(word) for word in text.split()) <= 1600


@pytest.mark.fault(78)
def test_bad_names_name_no_file(folder):
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    assert [path for path in paths for part in path.parts if not FILE.fullmatch(part)] == []


def test_names_that_look_alike_or_are_taken_get_files_of_their_own():
    names = ["a", "A", "a_b", "a-b", "a b", "runs", "assets", "index", "x-0", slug("A"), "../a", "con", ""]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("phantom-chaos-mr-t1") == "phantom-chaos-mr-t1"


def test_figures_are_drawn_for_print_and_for_the_page(folder):
    drawn = list(folder.rglob("*.svg"))
    assert drawn
    for path in drawn:
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(path.read_bytes()).iter()}
        assert not tags & {"script", "image", "a", "foreignObject"}
        assert path.with_suffix(".png").is_file()
    for text in pages(folder).values():
        assert all(attrs.get("alt") for tag, attrs in Tags(text).tags if tag == "img")


def test_the_same_records_give_the_same_bytes(make, score, tmp_path):
    again = tmp_path / "again"
    found = [record for record in plain_records(make, score) if record.dataset == "acdc" and record.protocol == "full"]
    build(collected(found), again)
    build(collected(reversed(found)), tmp_path / "reversed")
    assert tree(again) == tree(tmp_path / "reversed")


def test_made_up_patients_stand_apart_and_are_marked(site):
    folder, _ = site
    found = pages(folder)
    real, phantoms = found["index.html"].split("Made-up patients", 1)
    assert 'href="acdc/index.html"' in real and "phantom-acdc" not in real
    assert 'href="phantom-acdc/index.html"' in phantoms and 'href="acdc/' not in phantoms
    assert {"Made-up patients" in text for name, text in found.items() if name.startswith("phantom-acdc/")} == {True}
    assert {"Made-up patients" in text for name, text in found.items() if name.startswith("acdc/")} == {False}


def test_what_was_left_out_is_told_on_the_first_page(site):
    assert "somewhere/record.json: truncated; left out" in pages(site[0])["index.html"]


def test_the_page_of_a_run_tells_every_case_and_holds_its_record(site):
    folder, records = site
    record = next(record for record in records if record.method == "beta")
    page = Tags((folder / "runs" / f"{record.id()[:12]}.html").read_text(encoding="utf-8"))
    assert page.text.count("missed") >= 2  # in the table and among the failures
    assert all(f"{score.case}" in page.text for score in record.cases)
    saved = json.loads((folder / "runs" / record.id()[:12] / "record.json").read_bytes())
    assert saved["method"] == "beta" and len(saved["cases"]) == len(record.cases)


def test_only_a_run_with_a_log_has_a_learning_curve(site):
    folder, records = site
    assert {path.parent.name for path in folder.rglob("learning.svg")} == {records[0].id()[:12]}


def test_speed_is_drawn_machine_by_machine(site):
    folder, _ = site
    text = (folder / "acdc" / "full.html").read_text(encoding="utf-8")
    assert re.findall(r"to predict a case on (\w+) CPU", text) == ["Other", "Some"]
    assert len(list((folder / "acdc" / "full").glob("speed-*.svg"))) == 2
    assert len(list((folder / "acdc" / "semi10").glob("speed-*.svg"))) == 1


def test_a_dataset_of_two_splits_has_two_tables_and_protocols_count_up(make, tmp_path):
    records = [make(split=split, protocol=f"semi{share}") for split in ("a", "b") for share in (20, 5, 10)]
    build(collected(records), tmp_path / "out")
    text = (tmp_path / "out" / "acdc" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<caption>acdc · split (\w)", text) == ["a", "b"]
    assert re.findall(r'acdc/(semi\d+).html"', text) == ["semi5", "semi10", "semi20"]


def test_one_ranking_over_datasets_where_two_share_a_protocol(make, score, tmp_path):
    records = [
        make(tuple(score(f"p{n}", tp=hits - n % 2) for n in range(6)), dataset=dataset, method=method)
        for dataset in ("acdc", "chaos")
        for method, hits in (("worse", 5), ("better", 8))
    ]
    build(collected(records), tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    ranking = Tags(text.split("Over datasets")[1].split("</table>")[0]).text.split()
    assert ranking.index("better") < ranking.index("worse")
    assert (tmp_path / "out" / "index" / "ranks-0.svg").is_file()


def test_everything_is_there_for_programs(site):
    folder, records = site
    found = json.loads((folder / "results.json").read_bytes())
    assert found["runs"] == {record.id(): f"runs/{record.id()[:12]}.html" for record in records}
    assert len(found["rows"]) == 6 and found["rows"][0]["macro"]


def test_a_site_is_replaced_and_nothing_else_is(make, score, tmp_path):
    out = tmp_path / "out"
    build(collected([make()]), out)
    (out / "stale.html").write_text("old")
    build(collected([make(seed=1)]), out)
    assert not (out / "stale.html").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(BenchError, match="no site"):
        build(collected([make()]), mine)
    assert tree(mine) == {"thesis.tex": b"years of work"}


def test_a_build_that_fails_leaves_the_old_site_and_nothing_beside_it(make, tmp_path):
    out = tmp_path / "out"
    record = make()
    build(collected([record]), out)
    before = tree(tmp_path)
    out_of_it = Extras(pictures={record.id(): [Picture("../../../escaped", "p1", 0.5, b"")]})
    with pytest.raises(BenchError, match="leads out"):
        build(collected([record]), out, out_of_it)
    assert tree(tmp_path) == before


def test_no_record_is_no_site(tmp_path):
    with pytest.raises(BenchError, match="no record"):
        build(collected([]), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pictures_stand_on_the_page_of_their_run(make, tmp_path):
    record = make()
    picture = Picture("worst", "p1", 0.25, b"\x89PNG made up")
    build(collected([record]), tmp_path / "out", Extras(pictures={record.id(): [picture]}))
    folder = tmp_path / "out" / "runs" / record.id()[:12]
    assert (folder / "worst.png").read_bytes() == picture.png
    assert "worst case by Dice: p1, 0.250" in folder.with_suffix(".html").read_text(encoding="utf-8")


def test_what_was_measured_stands_in_words_on_the_page_of_its_run(make, tmp_path):
    spent = msgspec.structs.replace(make().train, parts=2, step_ms={"p50": 10.5, "p99": 12.0}, macs=1_234_567)
    record = make(train=spent)
    build(collected([record]), tmp_path / "site")
    text = Tags((tmp_path / "site" / "runs" / f"{record.id()[:12]}.html").read_text(encoding="utf-8")).text
    assert "p50 10.5, p99 12.0" in text and "1 234 567" in text
