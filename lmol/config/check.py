"""The composed values become a typed Config, or all of their problems are reported at once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass, replace
from typing import Any, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from lmol.config.groups import CONF, packaged_options
from lmol.config.keys import did_you_mean, meaning, target_keys, tree_keys
from lmol.config.paths import read_paths
from lmol.config.problems import problems_of
from lmol.config.rule_list import AUDIT_RULES, HEALTH_RULES
from lmol.config.rules import broken_rules
from lmol.config.schema import Config, Target
from lmol.config.targets import normalised, target_missing, target_problems
from lmol.config.task_kinds import WITHOUT_MODEL
from lmol.errors import ConfigError, LmolError

COMPLETED_BY_PROGRAM = "train"

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
"""An interpolation that is another setting's value."""


def check(values: DictConfig) -> Config:
    """The typed configuration. Raises ConfigError with every problem that the values have.

    Where some are found, classes that import torch are left unread, which takes seconds: what is
    wrong with their arguments is then reported once the rest is right.
    """
    problems: list[LmolError] = []
    plain = _resolved(values, "", problems)
    _add_rule_defaults(plain)
    problems += read_paths(plain)
    config, mistyped = _typed(plain)
    problems += _without_repeats(mistyped, problems)
    problems += broken_rules(_valid_groups(plain))
    problems += _of_targets(plain, heavy=not problems or "torch" in sys.modules)
    if problems or config is None:
        raise ConfigError(_causes(problems, values))
    return replace(config, model=normalised(config.model))


def _add_rule_defaults(plain: dict[str, Any]) -> None:
    """Complete the rules of audit and health; YAML and overrides set only some of their values."""
    audit, train = plain.get("audit"), plain.get("train")
    health = train.get("health") if isinstance(train, dict) else None
    for group, rules in ((audit, AUDIT_RULES), (health, HEALTH_RULES)):
        given = group.get("rules") if isinstance(group, dict) else None
        if isinstance(given, dict):  # what is no group has an error of its own
            for rule in rules:
                if isinstance(given.setdefault(rule.name, {}), dict):
                    given[rule.name] = rule.defaults() | given[rule.name]


def _causes(problems: list[LmolError], values: DictConfig) -> list[LmolError]:
    """Leave out a value that is wrong only because it is ${...} of another one that is wrong."""
    wrong = {problem.where for problem in problems}
    raw = dict(_leaves(OmegaConf.to_container(values, resolve=False), ""))
    followed = {key: found[1] for key in wrong if (found := REFERENCE.fullmatch(str(raw.get(key))))}
    return [problem for problem in problems if followed.get(problem.where) not in wrong]


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values as they are written."""
    if not isinstance(node, dict):
        yield key, node
        return
    for name, value in node.items():
        yield from _leaves(value, f"{key}.{name}" if key else str(name))


def _resolved(node: Any, key: str, problems: list[LmolError]) -> Any:
    """Plain dictionaries and lists; a value that cannot be had is noted and left out."""
    if isinstance(node, ListConfig):
        return [_resolved(node[index], f"{key}.{index}", problems) for index in range(len(node))]
    if not isinstance(node, DictConfig):
        return node
    plain: dict[str, Any] = {}
    for name in map(str, node):
        where = f"{key}.{name}" if key else name
        try:
            plain[name] = _resolved(node[name], where, problems)
        except OmegaConfBaseException as error:
            problems.append(_unresolved(node, name, where, error))
    return plain


def _unresolved(node: DictConfig, name: str, where: str, error: Exception) -> LmolError:
    if OmegaConf.is_missing(node, name):
        remedy = f"give it on the command line: {where}=..."
        return LmolError(where, got="???", expected="a value", remedy=remedy)
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    return LmolError(
        where,
        got=raw.get(name),
        expected="an interpolation that has a value",
        remedy=str(error).splitlines()[0],
    )


def _typed(plain: dict[str, Any]) -> tuple[Config | None, list[LmolError]]:
    """Strict, as JSON: "3" is no number and true is no 1, while fp32 is a Precision."""
    try:
        text = json.dumps(plain, default=str)
        return TypeAdapter(Config).validate_json(text, strict=True), []
    except ValidationError as error:
        return None, problems_of(error, plain, "", tree_keys(), _meaning)


def _valid_groups(plain: dict[str, Any]) -> dict[str, Any]:
    """The typed groups that have no problem of their own, so that rules can still be asked."""
    groups = {}
    for name, kind in get_type_hints(Config).items():
        if kind == Target and isinstance(plain.get(name), dict):
            groups[name] = plain[name]
        elif is_dataclass(kind) and name in plain:
            with suppress(ValidationError):
                text = json.dumps(plain[name], default=str)
                groups[name] = TypeAdapter(kind).validate_json(text, strict=True)
    return groups


def _meaning(key: str) -> str | None:
    return meaning(key) if key in tree_keys() else None


def _without_repeats(mistyped: list[LmolError], problems: list[LmolError]) -> list[LmolError]:
    """A value that could not be resolved is not missing as well."""
    known = {problem.where for problem in problems}
    return [problem for problem in mistyped if problem.where not in known]


def _of_targets(plain: dict[str, Any], *, heavy: bool) -> Iterator[LmolError]:
    task = plain.get("task")
    name = task.get("name") if isinstance(task, dict) else None
    yield from _of_task(name)
    for key in target_keys():
        group, _, field = key.partition(".")
        target = (plain.get(group) or {}).get(field) if field else plain.get(group)
        deep = heavy and name not in WITHOUT_MODEL
        if not isinstance(target, dict) or (group == COMPLETED_BY_PROGRAM and not deep):
            continue
        if "_target_" not in target:
            yield target_missing(key)
        else:
            complete = group != COMPLETED_BY_PROGRAM
            yield from target_problems(key, target, complete=complete, nested=deep)


def _of_task(name: object) -> Iterator[LmolError]:
    names = packaged_options(CONF)["task"]
    if isinstance(name, str) and name not in names:
        remedy = did_you_mean(name, names)
        yield LmolError("task.name", got=name, expected="a task of LMOL", remedy=remedy)
