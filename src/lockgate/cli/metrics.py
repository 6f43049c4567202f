"""`lockgate metrics`: what a gateway measures, and files for Prometheus and Grafana."""

import click

from lockgate.cli.output import data, data_json, table

EPILOG = """\b
Examples:
  lockgate metrics list
  lockgate metrics rules > lockgate.rules.yml && promtool check rules lockgate.rules.yml
  lockgate metrics dashboard > lockgate.dashboard.json"""


@click.group(epilog=EPILOG)
def metrics() -> None:
    """Print what a gateway measures, and files for Prometheus and Grafana."""


@metrics.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the metrics, their labels, and the most series that each can have."""
    from lockgate.telemetry.table import TABLE

    if as_json:
        data_json(
            [
                {
                    "name": metric.name,
                    "kind": str(metric.kind),
                    "help": metric.help,
                    "labels": list(metric.labels),
                    "most_series": metric.most_series,
                }
                for metric in TABLE
            ]
        )
        return
    rows = [(m.name, str(m.kind), str(m.most_series), ", ".join(m.labels) or "-") for m in TABLE]
    table(("METRIC", "KIND", "SERIES", "LABELS"), rows)


@metrics.command()
def rules() -> None:
    """Print the Prometheus rule file: recordings and alerts."""
    from lockgate.telemetry.rules import rule_file

    data(rule_file().rstrip("\n"))


@metrics.command()
def dashboard() -> None:
    """Print the Grafana dashboard."""
    from lockgate.telemetry.dashboard import dashboard as made

    data(made().rstrip("\n"))
