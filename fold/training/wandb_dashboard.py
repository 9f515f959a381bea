"""The W&B workspace that compares runs by depth, built through W&B's own library, wandb-workspaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fold.errors import FoldError

STEP = "Step"
DEPTH = "by_depth/depth"
SUBSET = "(.+/)?"  # in a metric's name, where the split has several


@dataclass(frozen=True)
class Chart:
    """A line plot. metrics: what is drawn; pattern: a regular expression that finds it instead; x: the axis."""

    title: str
    metrics: tuple[str, ...] = ()
    pattern: str | None = None
    x: str = STEP


CHARTS: dict[str, tuple[Chart, ...]] = {
    "By depth (test)": (
        Chart("WER % by executed depth, canonical path", pattern=f"^by_depth/{SUBSET}wer$", x=DEPTH),
        Chart("WER %, mean over paths", pattern=f"^by_depth/{SUBSET}mean_wer$", x=DEPTH),
        Chart("WER %, best and worst path", pattern=f"^by_depth/{SUBSET}(best|worst)_wer$", x=DEPTH),
        Chart("CER %", pattern=f"^by_depth/{SUBSET}cer$", x=DEPTH),
        Chart("Real-time factor", ("by_depth/real_time_factor",), x=DEPTH),
    ),
    "Training": (
        Chart("Dev WER % by depth", pattern=f"^val/{SUBSET}wer/depth_.*"),
        Chart("Dev WER %, mean over depths", ("val/wer/mean",)),
        Chart("Loss of each path", ("train/task_deepest", "train/task_seed", "train/task_sampled")),
        Chart("KL, deepest to seed", ("train/distillation",)),
        Chart("Total loss", ("train/loss",)),
    ),
}
SCATTERS = {"Parameters against dev WER %": ("model/parameters", "val/wer/mean")}
TABLES = ("test/depth_sweep", "test/transcripts")
MEDIA = ("test/depth_sweep_figure",)


def workspace(entity: str, project: str, name: str) -> Any:
    """The workspace, not saved yet. Runs are grouped by experiment, so that seeds make one curve with its range.

    Raises FoldError if W&B's library for workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError:
        raise FoldError("the dashboard needs a package that is missing: pip install wandb-workspaces") from None

    sections = [
        workspaces.Section(name=title, panels=[_line_plot(panels, chart) for chart in charts], is_open=True)
        for title, charts in CHARTS.items()
    ]
    scatters = [
        panels.ScatterPlot(title=title, x=panels.SummaryMetric(x), y=panels.SummaryMetric(y))
        for title, (x, y) in SCATTERS.items()
    ]
    shown = [panels.WeavePanelSummaryTable(table_name=table) for table in TABLES]
    media = panels.MediaBrowser(media_keys=list(MEDIA))
    sections.append(workspaces.Section(name="Models", panels=[*scatters, media, *shown], is_open=True))
    grouped = workspaces.RunsetSettings(groupby=[workspaces.Config("experiment")])
    return workspaces.Workspace(entity, project, name=name, sections=sections, runset_settings=grouped)


def _line_plot(panels: Any, chart: Chart) -> Any:
    x = chart.x if chart.x == STEP else panels.Metric(chart.x)
    return panels.LinePlot(title=chart.title, x=x, y=list(chart.metrics), metric_regex=chart.pattern)


def metrics() -> list[str]:
    """The names that the panels show; of those that patterns find see `patterns`."""
    drawn = [name for charts in CHARTS.values() for chart in charts for name in (*chart.metrics, chart.x)]
    named = [name for pair in SCATTERS.values() for name in pair]
    return [name for name in dict.fromkeys([*drawn, *named, *TABLES, *MEDIA]) if name != STEP]


def patterns() -> list[str]:
    """Regular expressions that find what else the panels show."""
    return [chart.pattern for charts in CHARTS.values() for chart in charts if chart.pattern]
