"""A run over time, from its event log: which notebook ran when, and what failed."""

from collections import Counter

from lib.run import progress


def draw(out):
    """Draw the newest run over time: a bar per notebook execution, failures in red.

    Returns
    -------
    Path
        The picture, `figures/run_timeline.png`.
    """
    import matplotlib  # takes a second, which a run that draws nothing does not wait for

    from lib import style

    matplotlib.use("Agg")
    style.use_style()
    figure, axes = matplotlib.pyplot.subplots()
    spent = Counter()
    end = 0
    for start, seconds, name, colour in executions(out):
        axes.barh(name, seconds, left=start, color=colour, edgecolor="white", alpha=0.8)
        spent[name] += seconds
        end = max(end, start + seconds)
    figure.set_size_inches(9, 0.4 * len(spent) + 1.4)
    axes.invert_yaxis()
    axes.set(xlabel="time since the start [s]", xlim=(0, None))
    longest, most = spent.most_common(1)[0]
    message = f"The run took {progress.minutes(end)}; {longest} needed most, {progress.minutes(most)} of work"
    caption = (
        "Executions of each notebook over the run; darker where two of them ran at once, red where "
        "one failed."
    )
    folder = out / "figures"
    style.save(style.tell(figure, message, caption), folder, "run_timeline")
    return folder / "run_timeline.png"


def executions(out):
    """Executions of the newest run in order of start: start and length [s], notebook, colour."""
    found = []
    begun = 0
    for event in progress.events(out):
        if event["event"] == "plan":
            begun = event["t"]
            found = []
        elif event["event"] in progress.ENDED and event.get("seconds"):
            start = event["t"] - event["seconds"] - begun
            colour = "#0072B2" if event["event"] == "done" else "#D55E00"
            found.append((start, event["seconds"], progress.notebook_of(event["name"]), colour))
    return sorted(found)
