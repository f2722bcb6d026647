"""The command that says what tables will take: plan, probe where asked to, estimate, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thesisbench.planning.forecast import Forecast
from thesisbench.planning.view import plan_json, print_plan, probed_lines
from thesisbench.selection import check_built

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.selectors import Selected


def show_plan(
    selected: Selected, probes: int, console: Console, *, as_json: bool
) -> dict[str, Any] | None:
    """Shows the plan of what was selected.

    Args:
        selected: tables and launcher.
        probes: kinds of fit to be tried at most.
        console: for people.
        as_json: return the plan for machines, and print progress only.

    Raises:
        UserError: a table named by its id has targets only.
        KeyboardInterrupt: the user stopped a probe.
    """
    session = selected.session
    check_built(session.catalog, session.composer, selected.named)
    forecast = Forecast(session, selected.infrastructure.get("launcher") or {})
    if probes:
        _probe(forecast, probes, console)
    if as_json:
        return plan_json(forecast)
    print_plan(forecast, console)
    return None


def _probe(forecast: Forecast, limit: int, console: Console) -> None:
    wishes, prober = forecast.wishes(), forecast.prober()
    prober.make(wishes[:limit], console)
    forecast.refresh()
    for line in probed_lines(prober.made, len(wishes[limit:]), prober.failed):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
