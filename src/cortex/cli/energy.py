"""``cortex energy``: power, what used it, and what that emits."""

from typing import Any

from cortex.cli.command import Server, command
from cortex.cli.printing import print_json, print_table


@command
def energy(server: Server) -> None:
    """Show power with its source, energy by route, and emissions.

    Example: cortex energy --json
    """
    with server.connect() as client:
        told: Any = client.energy()
    if server.as_json:
        print_json(told)
        return
    power = told["power"]
    if not power["source"]:
        print("no reading yet: a server that has just started has one within seconds")
        return
    how = "measured" if power["measured"] else "estimated"
    band = "" if power["measured"] else f" ({power['low']:.2f} to {power['high']:.2f})"
    print(f"power   {power['watts']:.2f} W{band}, {how} by {power['source']}")
    print(f"machine {told['machine_watts']:.2f} W")
    minutes = told["seconds"] / 60
    print(
        f"energy  {told['joules']:.1f} J in {minutes:.1f} min, "
        f"{told['co2e_grams']:.4f} g CO2e at {told['grid_grams_per_kwh']:g} g/kWh"
    )
    sci = told["sci"]
    if sci["co2e_grams"] is not None:
        print(
            f"SCI     {sci['co2e_grams']:.4f} g CO2e per {sci['per_recalls']} recalls"
        )
    rows = [
        (
            one["route"],
            f"{one['requests']}",
            f"{one['cpu_seconds']:.3f}",
            f"{one['joules']:.2f}",
            _each(one["joules_per_request"]),
        )
        for one in told["routes"]
    ]
    rows.append(("(background)", "", "", f"{told['background_joules']:.2f}", ""))
    print_table(("route", "requests", "CPU s", "J", "J a request"), rows)


def _each(joules: float | None) -> str:
    return "-" if joules is None else f"{joules:.4f}"
