"""docs/studies holds what the committed records of the studies say, and a study without a record has no page."""

import shutil

from docsite.studies import FOLDER, RESULTS, pages
from leaderboards.collect import RESULTS as COMMITTED


def test_the_pages_are_those_that_the_records_give():
    there = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    assert there == pages(RESULTS), "make coverage"


def test_a_study_is_found_by_the_names_of_its_datasets(tmp_path):
    (source,) = list((RESULTS / "phantom-acdc").glob("full-supervised-*.log.jsonl"))[:1]
    record = source.with_name(source.name.removesuffix(".log.jsonl") + ".json")
    results = tmp_path.joinpath(*COMMITTED)
    for name in ("phantom-lung-tumour", "phantom-other"):
        (results / name).mkdir(parents=True)
        for file in (source, record, record.with_suffix(".verified.json")):
            shutil.copy(file, results / name)
    made = pages(results)
    assert all(place.startswith("lung-tumour/") for place in made) and any("loss-" in place for place in made)
    assert b"Made-up patients" in made["lung-tumour/index.md"]
    shutil.rmtree(results / "phantom-lung-tumour")
    assert pages(results) == {}
