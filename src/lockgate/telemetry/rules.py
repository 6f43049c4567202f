"""The Prometheus rule file, made from the views and alerts."""

import yaml

from lockgate.telemetry.views import ALERTS, VIEWS


def rule_file() -> str:
    """Return the recording and alerting rules as YAML.

    The form: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
    """
    records = [
        {"record": view.record, "expr": view.expressions[0][1]}
        for view in VIEWS
        if view.record is not None
    ]
    alerts = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.lasting,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary},
        }
        for alert in ALERTS
    ]
    groups = [
        {"name": "lockgate-recording", "interval": "30s", "rules": records},
        {"name": "lockgate-alerts", "rules": alerts},
    ]
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)
