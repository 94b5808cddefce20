"""Nothing that comes in is executed, and pages show what anybody wrote as text: SECURITY.md says what rests on this."""

import ast
import json
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from manyrecords import record
from tiny import tiny_dataset

from bench import sweep
from converters.errors import BenchError
from leaderboards.collect import load
from leaderboards.planned import Run, Sweep, tables
from leaderboards.render import html
from leaderboards.site import efficiency
from leaderboards.site.figures import save
from leaderboards.table import groups

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "baselines", "leaderboards", "converters")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
NEVER = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.spawnv", "pickle.load",
    "pickle.loads", "pickle.Unpickler", "yaml.load", "runpy.run_path", "code.interact", "shutil.unpack_archive",
    "xml.etree.ElementTree.parse",
}  # fmt: skip
UNPACKING = {"extractall", "extract", "_extract_member"}
MARKUP = {"leaderboards/site/page.py"}  # the one place where text is called safe: render.html has escaped it
EVIL = "<script>window.hacked=1</script>\"'><img src=x onerror=hacked()>"


class Evil:
    """A pickle of it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_no_source_can_execute_what_it_reads():
    found = []
    for path in SOURCES:
        for called, node in calls(path):
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            shell = words.get("shell", "False") != "False"
            if called in NEVER or called.rpartition(".")[2] in UNPACKING or shell:
                found.append((path.relative_to(ROOT).as_posix(), ast.unparse(node)))
    assert found == []


def test_every_page_escapes_unless_it_says_why_not():
    marked = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if any(c.endswith("Markup") for c, _ in calls(path))
    }
    assert marked <= MARKUP
    made = [node for path in SOURCES for called, node in calls(path) if called in ("Environment", "jinja2.Environment")]
    assert made
    for node in made:
        assert {word.arg: ast.unparse(word.value) for word in node.keywords}["autoescape"] == "True"
    assert not [path for path in SOURCES for called, _ in calls(path) if called in ("Template", "jinja2.Template")]
    for template in (ROOT / "leaderboards" / "site" / "templates").iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape\s+false", text), template.name


def tags(text):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, [name for name, _ in attrs]))
    parser.feed(text)
    return found


def test_what_is_planned_is_text():
    runs = [Run(dataset="acdc", protocol=EVIL, method=EVIL, seed=0, recipe=EVIL)]
    (table,) = tables([Sweep(command=EVIL, runs=tuple(runs))], [], "acdc")
    shown = html(table)
    assert "&lt;script&gt;" in shown and "script" not in [tag for tag, _ in tags(shown)]
    assert not [name for _, names in tags(shown) for name in names if name.startswith("on")]


def test_a_figure_of_budgets_holds_names_as_text(tmp_path):
    made = []
    for number, minutes in ((5, 60.0), (50, 600.0)):
        one = record(("data-1", f"semi{number}", "method_1", 0), number, 3)
        budget = msgspec.structs.replace(one.budget, minutes=minutes)
        recipe = one.recipe | {"train": {"method": EVIL}}
        made.append(msgspec.structs.replace(one, method=EVIL, recipe=recipe, budget=budget))
        made[-1].save(tmp_path / str(number) / "record.json")
    found = load([tmp_path])
    drawn = efficiency.budgets(groups(found.records)[0], "dice:v1")
    text = save(drawn, EVIL).svg.decode()
    assert "&lt;script&gt;" in text and "<script" not in text and "<img" not in text


def test_weights_that_are_a_pickle_are_refused_and_not_run(tmp_path):
    import torch

    from baselines.config import NetConfig, NetSpec, TrainConfig, plain
    from baselines.model import ModelSpec, load_model, make_method, save_model

    ran, folder = tmp_path / "ran", tmp_path / "model"
    net = NetSpec(
        config=NetConfig(widths=(4, 8), dropout=(0, 0)), in_channels=1, classes=2, patch=(16, 16), spacing=(1.0, 1.0),
        precision="fp32", channels_last=False,
    )  # fmt: skip
    spec = ModelSpec(config=TrainConfig(), net=net, channels=("t1",), labels={"liver": 1}, seed=0)
    save_model(make_method(spec), spec, folder)
    assert load_model(folder, torch.device("cpu"))[1] == spec
    (folder / "model.safetensors").write_bytes(pickle.dumps(Evil(ran)))
    with pytest.raises(BenchError, match="the weights do not fit"):
        load_model(folder, torch.device("cpu"))
    for text in (pickle.dumps(Evil(ran)), json.dumps(plain(spec) | {"__reduce__": "os.system"}).encode()):
        (folder / "model.json").write_bytes(text)
        with pytest.raises(BenchError, match=r"model\.json"):
            load_model(folder, torch.device("cpu"))
    assert not ran.exists()


@pytest.mark.parametrize("name", ["../../evil", "/evil", "os", "evil.py", "evil:Method"])
def test_a_model_from_elsewhere_cannot_name_the_file_that_is_run(name, tmp_path, monkeypatch):
    from baselines.method import find

    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError):
        find(name)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_a_dataset_that_is_a_pickle_is_refused(tmp_path):
    from converters.check import check

    dataset = tiny_dataset(tmp_path / "tiny", 2, shape=(6, 5, 2))
    case = dataset.cases[0]
    (dataset.root / case.label.file).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    assert [sentence for sentence in check(dataset.root) if case.id in sentence]
    assert not (tmp_path / "ran").exists()


def test_the_words_of_a_sweep_stay_one_word_each(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('[[run]]\ndataset = "acdc; touch ran"\nprotocol = "$(touch ran)"\nseed = 0\n')
    (unit,) = sweep.read(path)
    assert "acdc; touch ran" in unit.words and "$(touch ran)" in unit.words
