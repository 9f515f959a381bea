"""`fold dashboard`: a W&B workspace that compares runs by depth."""

from __future__ import annotations

from fold.cli.parser import OneLineErrors
from fold.errors import FoldError
from fold.training.wandb_dashboard import workspace


def run(arguments: list[str]) -> None:
    """Parses the arguments of `dashboard` and calls it."""
    parser = OneLineErrors(prog="fold dashboard", description="A W&B workspace that compares runs by depth.")
    parser.add_function_arguments(dashboard)
    dashboard(**parser.instantiate(parser.parse_args(arguments)))


def dashboard(entity: str, project: str = "fold", name: str = "Depths") -> None:
    """Writes a workspace into a W&B project, whose runs it then shows. Needs a connection and `wandb login`.

    Args:
        entity: W&B user or team.
        project: of the runs; `fold fit` logs to "fold".
        name: of the workspace.
    """
    made = workspace(entity, project, name)
    try:
        made.save()
    except Exception as error:  # of a connection, a login, a missing project, W&B's own checks
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FoldError(f"the workspace could not be saved to {entity}/{project}: {reason[-1]}") from None
    print(f"dashboard: {made.url}")
