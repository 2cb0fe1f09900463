"""A survey in words: what the tables mean, and the answers to a frame rate."""

from weft.explore.area import STATEMENT
from weft.explore.columns import PARTIAL, UNKNOWN
from weft.explore.survey import Survey


def summary(survey: Survey) -> list[str]:
    """The lines below the tables."""
    others = "none that leaves the host no more" if survey.has_partial else "none"
    lines = [
        f"front: {len(survey.front)} of {len(survey.working)} configurations, lettered: "
        f"{others} has less latency, energy or area without more of another"
    ]
    if survey.fps is not None:
        lines += _answers(survey)
    hosts = {op for point in survey.working for cost in point.costs for op in cost.host_ops}
    if hosts:
        lines.append(f"on the host: {', '.join(sorted(hosts))} (not in the figures)")
    if survey.has_host_steps:
        lines.append("NPU %: its part of the networks' MACs as the files have them; host ops: operators of the host")
    if survey.has_partial:
        lines.append(
            f"{PARTIAL}: leaves more to the host than other configurations, and its figures lack that part: it takes none off the front "
            f"that leaves less, answers no frame rate ({UNKNOWN}: its NPU is fast enough), and comes last in --verify best"
        )
    if len(survey.networks) > 1:
        lines.append("a frame is one inference of each network, one after another")
    return [
        *lines,
        "cycles: timing model; the front with the tuning that weft run finds best, the others with the usual one",
        "energy: estimated, table in docs/report.md; no clock tree, registers, leakage",
        f"{STATEMENT}; {survey.base.name} is 1",
        f"clock: {survey.clock_source}; the same for every configuration",
    ]


def _answers(survey):
    reaching = sum(map(survey.reaches, survey.points))
    asked = f"{survey.fps:g} frames/s at {survey.clock_mhz:g} MHz"
    if not reaching:
        fastest = next(point for point in survey.front if not survey.partial(point))
        yield f"{asked}: none; the fastest, {fastest.candidate.label}, makes {survey.rate(fastest):.4g}"
        return
    yield f"{asked}: {reaching} of {len(survey.working)}"
    for what, point in (("smallest", survey.smallest()), ("least energy", survey.thriftiest())):
        yield f"  {what}: {_in_words(survey, point)}"


def _in_words(survey, point):
    power = survey.power_at_rate_mw(point)
    return (
        f"{point.candidate.label}, {survey.latency_ms(point.cycles):.4g} ms, area {survey.relative_area(point):.3f}, "
        f"{point.energy_uj:.4g} uJ a frame, {power:.4g} mW at the rate"
    )
