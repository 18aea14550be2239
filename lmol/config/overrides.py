"""The command line before Hydra reads it: shorthands written out, and every mistake in it reported.

A value override becomes `++key=value`: Hydra would stop at the first unknown key, while here all
keys are compared with the typed tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from lmol.config.groups import Groups, add_experiments, find_groups
from lmol.config.keys import did_you_mean, is_known, tree_keys
from lmol.config.paths import HYDRA, home_written_out, path_problems
from lmol.config.problems import unknown_key
from lmol.errors import LmolError

NUMBER = r"-?\d+(?:\.\d+)?"
FOLD = re.compile(
    rf"\+*fold=(['\"]?)(\[?{NUMBER}(?:,{NUMBER})*\]?|(?:range|choice)\([-\d,\s]*\))\1"
)
"""Override fold= with a number, a list of them or a range; Hydra takes no number as an option."""

RUNS = re.compile(r"(\+*runs)=(.+)", re.DOTALL)
QUOTES = "'\""
SPECIAL = re.compile(r"(\\*)('|\$\{|$)")
"""Characters with a meaning inside a quoted value of Hydra: a quote, an interpolation, the end."""

SWEEP_FOLDER = "hydra.sweep.subdir"
MULTIRUN_KEYS = ("sweep", "hydra.mode")
"""Keys that make a multirun without the flag -m."""


@dataclass(frozen=True, kw_only=True)
class ReadOverrides:
    """The readable overrides in the form that Hydra takes, and the errors about the others."""

    rewritten: list[str]
    problems: list[LmolError]


def read_arguments(arguments: Sequence[str]) -> tuple[list[str], ReadOverrides]:
    """Return Hydra's flags untouched, and the overrides."""
    args = get_args_parser().parse_intermixed_args(list(arguments))
    if args.shell_completion or args.experimental_rerun:
        return list(arguments), ReadOverrides(rewritten=[], problems=[])
    _refuse_config_path(args.config_path)
    flags = [argument for argument in arguments if argument not in args.overrides]
    return flags, read_overrides(args.overrides, config_dir=args.config_dir, multirun=args.multirun)


def _refuse_config_path(given: str | None) -> None:
    if given is not None:
        raise LmolError(
            "--config-path",
            got=given,
            expected="conf/ of LMOL as the first place of its groups",
            remedy=f"--config-dir={given} adds a folder, --config-name chooses a file of it",
        )


def read_overrides(
    overrides: Sequence[str], *, config_dir: str | None = None, multirun: bool = False
) -> ReadOverrides:
    """Read all overrides; make Hydra search experiments/ too."""
    add_experiments()
    problems: list[LmolError] = []
    parsed = list(_parsed(map(_written_out, overrides), problems))
    if not multirun and not any(o.key_or_group in MULTIRUN_KEYS for o in parsed):
        problems += [_sweep_without_multirun(o) for o in parsed if o.is_sweep_override()]
    groups = find_groups(chain([config_dir] if config_dir else [], _searchpath(parsed)))
    found = {id(override): list(_problems(override, groups)) for override in parsed}
    problems += chain.from_iterable(found.values())
    readable = [override for override in parsed if not found[id(override)]]
    rewritten = [_rewritten(override, groups) for override in readable]
    return ReadOverrides(rewritten=rewritten + _sweep_folder(readable, groups), problems=problems)


def _written_out(override: str) -> str:
    """Return an override with the shorthands of fold= and runs= and the ~ of a home written out."""
    return _folder_list(_fold_index(home_written_out(override)))


def _fold_index(override: str) -> str:
    """Return fold=3 as fold.index=3, a list of folds as a sweep; fold=official stays."""
    found = FOLD.fullmatch(override)
    return f"fold.index={found[2].strip('[]')}" if found else override


def _folder_list(override: str) -> str:
    """Return runs=a,b as a list of quoted texts; null, a list in brackets and all else unchanged.

    The whole value may stand in quotes. A folder with a comma in its name needs brackets.
    """
    found = RUNS.fullmatch(override)
    if found is None or found[2] == "null" or found[2].startswith("["):
        return override
    value = found[2]
    if len(value) > 1 and value[0] in QUOTES and value[-1] == value[0]:
        value = value[1:-1]
    folders = [folder for folder in value.split(",") if folder]
    return f"{found[1]}=[{','.join(map(_quoted, folders))}]"


def _quoted(text: str) -> str:
    """Quote a text for Hydra; backslashes are doubled only before a special character."""
    escaped = SPECIAL.sub(lambda found: found[1] * 2 + _escaped(found[2]), text)
    return f"'{escaped}'"


def _escaped(special: str) -> str:
    return f"\\{special}" if special else ""


def _parsed(overrides: Iterator[str], problems: list[LmolError]) -> Iterator[Override]:
    parser = OverridesParser.create()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except (HydraException, ValueError, RecursionError) as error:  # of endless digits, brackets
            problems.append(_unreadable(text, error))
            continue
        if override.key_or_group:
            yield override
        else:
            problems.append(_unreadable(text, "no key"))


def _unreadable(text: str, reason: object) -> LmolError:
    return LmolError(
        f"argument {text}",
        got=" ".join(str(reason).split()),
        expected="key=value",
        remedy="write key=value without spaces; put a value with other signs in quotes",
    )


def _sweep_without_multirun(override: Override) -> LmolError:
    return LmolError(
        override.key_or_group,
        got=f"several values, {str(override.input_line).partition('=')[2]}",
        expected="one value, as this is no multirun",
        remedy="add -m to run one job a value; a list is written key=[a,b], a text key='a,b'",
    )


def _searchpath(overrides: Sequence[Override]) -> list[str]:
    """Return the places that hydra.searchpath=[...] adds for groups."""
    values = [o.value() for o in overrides if o.key_or_group == "hydra.searchpath"]
    return [str(place) for value in values if isinstance(value, list) for place in value]


def _problems(override: Override, groups: Groups) -> Iterator[LmolError]:
    key = override.key_or_group
    if key in HYDRA:
        yield from path_problems(key, override.value())
    if key == "hydra.job.chdir" and override.value() is not False:
        yield LmolError(
            key,
            got=override.value(),
            expected="false: relative paths are read from the folder of the command",
            remedy="leave it out; all results are written to the run folder",
        )
    if override.is_hydra_override():
        return
    if key in groups.options:
        yield from _unknown_options(override, groups)
    elif key.replace(".", "/") in groups.options and isinstance(override.value(), str):
        yield _group_with_a_dot(key, override.value(), groups)
    elif not is_known(key):
        yield unknown_key(key, {*tree_keys(), *groups.added})


def _group_with_a_dot(key: str, option: object, groups: Groups) -> LmolError:
    """Return the error about data.schedule=uniform: a group is written with a slash."""
    group = key.replace(".", "/")
    return LmolError(
        key,
        got=f"{option!r}",
        expected=f"one of the options {', '.join(sorted(groups.options[group]))} of {group}",
        remedy=f"write it with a slash: {group}={option}",
    )


def _unknown_options(override: Override, groups: Groups) -> Iterator[LmolError]:
    group = override.key_or_group
    for option in _chosen(override):
        if option not in groups.options[group]:
            yield LmolError(
                group,
                got=f"{option!r}",
                expected=f"one of {', '.join(sorted(groups.options[group]))}",
                remedy=did_you_mean(option, groups.options[group]),
            )


def _chosen(override: Override) -> list[str]:
    """Return the options that a group override names; a pattern or a deletion names none."""
    if override.is_delete() or override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return []
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    value = override.value()
    names = value if isinstance(value, list) else [value]
    return ["null" if name is None else str(name) for name in names]


def _rewritten(override: Override, groups: Groups) -> str:
    """Add Hydra's prefix to an override: none for a group of conf/, + if it is added, ++ else."""
    assert override.input_line is not None
    bare = override.input_line.lstrip("+")
    if override.is_hydra_override() or override.is_delete():
        return override.input_line
    if override.key_or_group in groups.added:
        return f"+{bare}"
    return bare if override.key_or_group in groups.options else f"++{bare}"


def _sweep_folder(overrides: Sequence[Override], groups: Groups) -> list[str]:
    """Return the overrides that name each job's folder after the fold and the other swept keys."""
    if any(override.key_or_group == SWEEP_FOLDER for override in overrides):
        return []
    swept = [o.key_or_group for o in overrides if o.is_sweep_override()]
    others = [key for key in swept if key != "fold.index" and not key.startswith("hydra")]
    parts = [f"{key.replace('/', '.')}=${{slug:{_value_of(key, groups)}}}" for key in others]
    name = ",".join(["fold_${fold.index}", *parts]) + f"${{swept_params:{','.join(others)}}}"
    return [f"{SWEEP_FOLDER}='{name}'"] if parts else []


def _value_of(key: str, groups: Groups) -> str:
    return f"${{hydra:runtime.choices.{key}}}" if key in groups.options else f"${{{key}}}"
