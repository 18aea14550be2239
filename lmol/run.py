"""The command: parse, open the run, call the task, return the metric."""

from __future__ import annotations

import sys
from importlib import import_module

import hydra
from omegaconf import DictConfig

from lmol.cli.early import checked
from lmol.cli.exit_codes import command_ending, reported
from lmol.cli.open_run import open_run, with_past
from lmol.config.compose import hydra_arguments
from lmol.config.sweeping import job_place
from lmol.system.distributed import set_environment


@hydra.main(version_base="1.3", config_path="pkg://lmol.conf", config_name="config")
@reported
def job(values: DictConfig) -> float | None:
    """One job: check its values, claim its folder, run its task, return the metric to a sweeper."""
    config = checked(with_past(values))
    with open_run(job_place(values), config) as folder:
        name = f"lmol.tasks.{config.task.name}"
        return folder.result_of(lambda: import_module(name).run(config, folder))


def main() -> None:
    """Run the command line; exit codes are those of lmol.cli.exit_codes."""
    set_environment()
    with command_ending(sys.argv[1:]):
        sys.argv[1:] = hydra_arguments(sys.argv[1:])
        job()


if __name__ == "__main__":
    main()
