"""The rules of the house that a program can check: import arrows, sizes, and what is packaged."""

import ast
import configparser
import statistics
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "lmol").rglob("*.py"))
SIZED = [*FILES, *sorted((ROOT / "experiments").rglob("*.py"))]

LAYERS: dict[str, int] = {
    "errors": 0,
    "verdict": 0,
    "system": 1,
    "config": 2,
    "runs": 3,
    "tracking": 4,
    "data": 4,
    "model": 4,
    "audit": 4,
    "training": 5,
    "evaluation": 5,
    "ranking": 5,
    "report": 5,
    "inference": 6,
    "workflow": 7,
    "tasks": 8,
    "cli": 9,
    "run": 10,
    "__init__": 11,
}
"""A part imports from lower layers and its own; where two share a layer, BESIDE says who may."""

BESIDE = {
    ("audit", "model"),
    ("model", "data"),
    ("evaluation", "ranking"),
    ("report", "evaluation"),
    ("audit", "tracking"),
    ("audit", "data"),
}

ONLY_IN = {
    "peft": ("model/vlm",),
    "bitsandbytes": ("model/vlm",),
    "lmol.model.vlm": ("model/vlm", "model/baseline/encoders", "workflow/model_card"),
    "hydra": ("run", "config", "cli", "runs/job_record"),
    "omegaconf": ("run", "config", "cli", "runs/job_record"),
    "wandb": ("tracking/wandb", "tracking/wandb_session"),
}
"""Parts, parts of them, or single modules. All that knows LLaVA, prompts and PEFT is in one."""

LIGHT = ("errors", "verdict", "system", "config", "runs", "tracking", "cli", "run")
IN_FUNCTIONS = (
    "cli/early",
    "system/distributed",
    "tracking/wandb",
    "tracking/wandb_session",
)
"""Light modules that import a heavy library where it is used."""

HEAVY = ("torch", "transformers", "peft", "pandas", "matplotlib", "scipy", "sklearn", "wandb")


def part(path: Path) -> str:
    return path.relative_to(ROOT / "lmol").parts[0].removesuffix(".py")


def module(path: Path) -> str:
    return path.relative_to(ROOT / "lmol").with_suffix("").as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Full module names of all imports, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module)


def at_run_time(tree: ast.Module) -> ast.Module:
    """The module without what only the type checker reads."""
    kept = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n))]
    return ast.Module(body=kept, type_ignores=[])


class WithoutBodies(ast.NodeTransformer):
    """Functions become empty."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [ast.Pass()]
        return node


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=str)
def test_arrows_run_one_way(path: Path) -> None:
    importer = part(path)
    for name in imports(parsed(path)):
        if not name.startswith("lmol."):
            continue
        imported = name.split(".")[1]
        lower = LAYERS[imported] < LAYERS.get(importer, 0)
        assert lower or imported == importer or (importer, imported) in BESIDE, name


def test_what_is_allowed_is_used_and_makes_no_circle() -> None:
    arrows = {
        (part(path), name.split(".")[1])
        for path in FILES
        for name in imports(parsed(path))
        if name.startswith("lmol.") and name.split(".")[1] != part(path)
    }
    assert arrows >= BESIDE
    graph: dict[str, set[str]] = {}
    for importer, imported in arrows:
        graph.setdefault(importer, set()).add(imported)
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_modules_make_no_circle() -> None:
    """Functions that import what imports them would hide one."""
    graph: dict[str, set[str]] = {}
    names = {"lmol." + module(path).replace("/", ".").removesuffix(".__init__") for path in FILES}
    for path in FILES:
        if path.name != "__init__.py":
            own = "lmol." + module(path).replace("/", ".")
            graph[own] = {name for name in imports(at_run_time(parsed(path))) if name in names}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_libraries_stay_where_they_belong(path: Path) -> None:
    for name in imports(parsed(path)):
        for library, places in ONLY_IN.items():
            if f"{name}.".startswith(f"{library}."):
                assert any(f"{module(path)}/".startswith(f"{place}/") for place in places), name


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in LIGHT], ids=str)
def test_what_the_command_line_imports_is_light(path: Path) -> None:
    tree = at_run_time(parsed(path))
    if module(path) in IN_FUNCTIONS:
        tree = WithoutBodies().visit(tree)
    for name in imports(tree):
        assert name.split(".")[0] not in HEAVY, name


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions() -> dict[str, int]:
    return {
        f"{path.relative_to(ROOT)}:{node.name}:{node.lineno}": body_lines(node)
        for path in SIZED
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_functions_are_short() -> None:
    lines = functions()
    assert {name: size for name, size in lines.items() if size > 40} == {}
    assert statistics.median(lines.values()) <= 8
    assert statistics.quantiles(lines.values(), n=10)[-1] <= 15


def num_parameters(function: ast.FunctionDef) -> int:
    """Parameters without self and cls, *args and **kwargs."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_functions_have_few_parameters() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{node.name}": num_parameters(node)
        for path in SIZED
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: num for name, num in found.items() if num > 6} == {}


def test_a_task_imports_no_other_task() -> None:
    for path in (ROOT / "lmol" / "tasks").glob("*.py"):
        assert not [name for name in imports(parsed(path)) if name.startswith("lmol.tasks")], path


def test_data_reads_no_settings_of_training_or_evaluation() -> None:
    for path in (ROOT / "lmol" / "data").rglob("*.py"):
        assert "config.train" not in path.read_text(), path
        assert "config.eval" not in path.read_text(), path


def test_files_are_short() -> None:
    sizes = {str(path): len(path.read_text().splitlines()) for path in SIZED}
    assert {name: size for name, size in sizes.items() if size > 250} == {}
    assert sizes[str(ROOT / "lmol" / "run.py")] <= 40


@pytest.mark.parametrize("path", SIZED, ids=str)
def test_names_say_what_is_inside(path: Path) -> None:
    assert not {"utils", "helpers", "common", "misc", "manager"} & {path.stem, path.parent.name}


def test_every_package_is_in_the_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    inside = {path.parent.relative_to(ROOT) for path in FILES if path.name == "__init__.py"}
    beside = {path.parent.relative_to(ROOT) for path in (ROOT / "experiments").rglob("__init__.py")}
    found = {".".join(folder.parts) for folder in inside}
    found |= {"lmol." + ".".join(folder.parts) for folder in beside} | {"lmol.conf"}
    assert listed == found


@pytest.mark.parametrize("folder", ["conf", "experiments"])
def test_every_yaml_file_is_in_the_wheel(folder: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"][f"lmol.{folder}"].split()
    packed = {path for pattern in patterns for path in (ROOT / folder).glob(pattern)}
    assert set((ROOT / folder).rglob("*.yaml")) <= packed


def test_every_file_of_the_report_page_is_in_the_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["lmol.report"].split()
    folder = ROOT / "lmol" / "report"
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    others = {path for path in folder.rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert packed == others
    assert max(len(path.read_text().splitlines()) for path in packed) <= 250


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in SIZED}
    assert {str(folder) for folder in folders if not (folder / "__init__.py").exists()} == set()
