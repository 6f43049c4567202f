"""The least that `/metrics` shows: requests and seconds by route and status."""

from collections import defaultdict

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """Counts requests; implements `Meter`. As many series as there are routes and statuses."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._requests[route, status] += 1
        self._seconds[route] += seconds

    def expose(self) -> tuple[bytes, str]:
        lines = [
            "# HELP lockgate_http_requests_total Requests that were answered; status 0: given up.",
            "# TYPE lockgate_http_requests_total counter",
            *(
                f'lockgate_http_requests_total{{route="{route}",status="{status}"}} {count}'
                for (route, status), count in sorted(self._requests.items())
            ),
            "# HELP lockgate_http_request_seconds_total Time from request to answer.",
            "# TYPE lockgate_http_request_seconds_total counter",
            *(
                f'lockgate_http_request_seconds_total{{route="{route}"}} {seconds:.6f}'
                for route, seconds in sorted(self._seconds.items())
            ),
        ]
        return ("\n".join(lines) + "\n").encode(), _TYPE
