"""Swappable nodes: a `_target_` names a class of this package, the other keys its arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, get_type_hints

import hydra
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict, is_typeddict

from lmol.config.fields import Target
from lmol.config.keys import did_you_mean, settings_below
from lmol.config.kinds import kind_problem
from lmol.config.problems import problems_of, unknown_key
from lmol.errors import ConfigError, LmolError

PACKAGE = "lmol."
HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_")
MOVED = {
    "lmol.model.backbone.LlavaBackbone": "lmol.model.vlm.backbone.LlavaBackbone",
    "lmol.data.scores.ScoreTable": "lmol.data.sources.score_table.ScoreTable",
    "lmol.data.scores.ScutFBP5500": "lmol.data.sources.scut.ScutFBP5500",
    "lmol.data.synthetic.SyntheticFaces": "lmol.data.sources.synthetic.SyntheticFaces",
}
"""Classes by their names in earlier versions."""

PARAMETERS = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


def instantiate(target: Mapping[str, Any], place: str = "", /, **objects: Any) -> Any:
    """Build the object of a swappable node, with its values converted to the class's types.

    place: dotted key of the node, which decides what kind of class it may be; objects: arguments
    that only the program has. With `_partial_: true` the result is the class with the node's values
    filled in. Raises ConfigError for a target outside lmol or of another kind, an unknown or
    missing argument, or a value of the wrong type or range.
    """
    where = place or str(target.get("_target_"))
    problems = target_problems(where, target, complete=not objects)
    if problems:
        raise ConfigError(problems)
    kind = hydra.utils.instantiate({"_target_": target["_target_"], "_partial_": True})
    filled = partial(kind, **_typed_arguments(target))
    return filled if target.get("_partial_") else filled(**objects)


def normalised(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node whose values are valid as its class reads them: a dropout of 0 is 0.0."""
    kind = _load("", str(target["_target_"]))
    if not is_dataclass(kind):
        return dict(target)
    adapter = _parameters(kind, False)
    typed = adapter.validate_json(_as_json(_arguments(target)), strict=True)
    own = {name: target[name] for name in HYDRA_KEYS if name in target}
    return own | adapter.dump_python(typed, mode="json")


def target_problems(
    key: str, target: Mapping[str, Any], *, complete: bool, nested: bool = True
) -> list[LmolError]:
    """Return the errors of a swappable node; its class is imported, and nothing is built.

    complete: the node must hold all arguments; else the program adds some of its own. nested: also
    check the classes of swappable nodes in it.
    """
    refused = list(_refused(key, target))
    if refused:
        return refused
    kind = _load(key, str(target["_target_"]))
    if isinstance(kind, LmolError):
        return [kind]
    unfit = kind_problem(key, str(target["_target_"]), kind)
    if unfit is not None:
        return [unfit]
    if is_dataclass(kind):
        whole = complete and not target.get("_partial_")
        return [
            *_typed_problems(key, kind, target, whole),
            *(_of_nested(key, kind, target) if nested else ()),
        ]
    return list(_unknown_arguments(key, kind, target))


def _of_nested(key: str, kind: Any, target: Mapping[str, Any]) -> Iterator[LmolError]:
    """Yield the problems of the swappable nodes among a node's arguments."""
    for name, hint in get_type_hints(kind).items():
        if hint == Target and isinstance(target.get(name), dict):
            if "_target_" in target[name]:
                yield from target_problems(f"{key}.{name}", target[name], complete=True)
            else:
                yield target_missing(f"{key}.{name}")


def _refused(key: str, node: Any) -> Iterator[LmolError]:
    """Yield errors for targets outside the package, at any depth: Hydra builds inner ones too."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        if name == "_target_" and not str(value).startswith(PACKAGE):
            yield LmolError(
                f"{key}._target_",
                got=value or "nothing",
                expected="a class of the lmol package; a target outside lmol is refused",
                remedy="add the class to the package and name it as lmol.<module>.<Class>",
            )
        yield from _refused(f"{key}.{name}", value)


def target_missing(key: str) -> LmolError:
    """Return the error about a swappable node that names no class."""
    return LmolError(
        f"{key}._target_",
        got="nothing",
        expected="the full name of a class of the lmol package",
        remedy="name the class that this part is built from",
    )


def _load(key: str, name: str) -> Any:
    """Return the class or the error about its name; raise errors of its module as they are."""
    module_name, _, attribute = name.rpartition(".")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        moved = f"it is {MOVED[name]} now" if name in MOVED else f"there is no module {error.name}"
        return _no_class(key, name, moved)
    found = vars(module).get(attribute)
    if _is_ours(found, module.__name__):
        return found
    if isinstance(found, type):
        return _no_class(
            key, name, f"it is {found.__module__}.{found.__name__}, not a class of lmol"
        )
    own = [n for n, kind in vars(module).items() if _is_ours(kind, module.__name__)]
    return _no_class(key, name, did_you_mean(attribute, own) if own else "it has no class")


def _is_ours(kind: Any, module: str) -> bool:
    """Return whether this is a class of lmol, and not one that a module only imports."""
    return isinstance(kind, type) and f"{kind.__module__}.".startswith((PACKAGE, f"{module}."))


def _no_class(key: str, name: str, remedy: str) -> LmolError:
    expected = "a class of the lmol package"
    return LmolError(f"{key}._target_", got=name, expected=expected, remedy=remedy)


def _arguments(target: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in target.items() if name not in HYDRA_KEYS}


def _as_json(values: Mapping[str, Any]) -> str:
    """Return JSON; a value that has no JSON type, such as YAML's !!binary, becomes its text."""
    return json.dumps(values, default=str)


def _parameters(kind: Any, complete: bool) -> Any:
    """Return a typed dictionary of the constructor's parameters; it validates without building."""
    return _validator(kind, complete)


@cache
def _validator(kind: Any, complete: bool) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    taken = {
        field.name: hints[field.name]
        if complete and _required(field)
        else NotRequired[hints[field.name]]
        for field in fields(kind)
        if field.init
    }
    parameters = TypedDict("Parameters", taken)  # type: ignore[misc]
    assert is_typeddict(parameters)
    parameters.__pydantic_config__ = PARAMETERS  # type: ignore[attr-defined]
    return TypeAdapter(parameters)


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _typed_problems(
    key: str, kind: Any, target: Mapping[str, Any], complete: bool
) -> list[LmolError]:
    values = _arguments(target)
    known = dict(settings_below(kind, f"{key}."))
    try:
        _parameters(kind, complete).validate_json(_as_json(values), strict=True)
    except ValidationError as error:
        return problems_of(error, values, f"{key}.", known)
    return []


def _typed_arguments(target: Mapping[str, Any]) -> dict[str, Any]:
    kind, values = _load("", str(target["_target_"])), _arguments(target)
    if not is_dataclass(kind):
        return values
    typed: dict[str, Any] = _parameters(kind, False).validate_json(_as_json(values), strict=True)
    return typed


def _unknown_arguments(key: str, kind: Any, target: Mapping[str, Any]) -> Iterator[LmolError]:
    parameters = inspect.signature(kind).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]
    for name in _arguments(target):
        if name not in names:
            yield unknown_key(f"{key}.{name}", [f"{key}.{known}" for known in names])
