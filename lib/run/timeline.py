"""A picture of a run over time, made from its event log."""

from pathlib import Path

from lib.run import progress


def draw(out):
    """Draw the run over time: a bar per notebook execution, one row per execution slot, failures in red.

    Returns
    -------
    Path
        The picture, `figures/run_timeline.png`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars = executions(out)
    colours = {name: f"C{i}" for i, name in enumerate(sorted({bar["notebook"] for bar in bars}))}
    figure, axes = plt.subplots(
        figsize=(9, 1.5 + 0.25 * (1 + max((bar["row"] for bar in bars), default=0)))
    )
    for bar in bars:
        colour = colours[bar["notebook"]] if bar["end"] == "done" else "red"
        axes.barh(
            bar["row"],
            bar["seconds"],
            left=bar["start"],
            color=colour,
            edgecolor="white",
            linewidth=0.3,
        )
    for name, colour in colours.items():
        axes.barh(0, 0, color=colour, label=name)
    axes.set(xlabel="time since start [s]", ylabel="notebooks at a time", yticks=[])
    axes.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    path = Path(out, "figures", "run_timeline.png")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path


def executions(out):
    """Executions of the newest run, each with its start and length [s], how it ended, and a row free at that time."""
    found, rows, begun = [], [], 0
    for event in progress.events(out):
        if event["event"] == "plan":
            begun, found = event["t"], []
        elif event["event"] in ("done", "failed", "retry") and event["seconds"]:
            start = event["t"] - event["seconds"] - begun
            named = {"notebook": event["name"].split(".")[0], "end": event["event"]}
            found.append(named | {"start": start, "seconds": event["seconds"]})
    for bar in sorted(found, key=lambda bar: bar["start"]):
        free = next((i for i, until in enumerate(rows) if until <= bar["start"] + 0.05), len(rows))
        rows[free : free + 1] = [bar["start"] + bar["seconds"]]
        bar["row"] = free
    return found
