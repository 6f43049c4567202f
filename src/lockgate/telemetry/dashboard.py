"""The Grafana dashboard, made from the views."""

import json
from itertools import groupby

from lockgate.domain.digest import Json
from lockgate.telemetry.views import VIEWS, View

_WIDTH, _COLUMNS, _HEIGHT = 8, 3, 8
_SOURCE: dict[str, Json] = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> str:
    """Return the dashboard as JSON, to be imported or provisioned; it asks for the data source."""
    panels: list[Json] = []
    row_y = 0
    for section, views in groupby(VIEWS, key=lambda view: view.section):
        panels.append(_row(section, len(panels) + 1, row_y))
        row_y += 1
        shown = list(views)
        for n, view in enumerate(shown):
            x, y = n % _COLUMNS * _WIDTH, row_y + n // _COLUMNS * _HEIGHT
            panels.append(_panel(view, len(panels) + 1, x, y))
        row_y += -(-len(shown) // _COLUMNS) * _HEIGHT
    document: dict[str, Json] = {
        "uid": "lockgate",
        "title": "Lockgate",
        "tags": ["lockgate"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": panels,
    }
    return json.dumps(document, indent=2) + "\n"


def _row(title: str, number: int, y: int) -> Json:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": _WIDTH * _COLUMNS, "x": 0, "y": y},
        "panels": [],
    }


def _panel(view: View, number: int, x: int, y: int) -> Json:
    targets: list[Json] = [
        {
            "refId": chr(ord("A") + n),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
        }
        for n, (legend, expression) in enumerate(view.expressions)
    ]
    return {
        "id": number,
        "type": "timeseries",
        "title": view.title,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": str(view.unit), "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": targets,
    }
