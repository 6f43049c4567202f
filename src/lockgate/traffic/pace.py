"""How long a backend takes, learnt from what it did."""

_MEMORY = 0.98
_DEVIATIONS = 2.0


class Pace:
    """A line through seconds over tokens, by least squares that forget, and the mean deviation.

    The constant part is the time to the first token and any queue in the backend, the slope the
    time per token. As in TCP's retransmission timer (RFC 6298) an estimate is the mean plus a
    multiple of the smoothed deviation. Before the first measurement every estimate is 0: who
    knows nothing refuses nothing.
    """

    __slots__ = ("_constant", "_deviation", "_n", "_slope", "_x", "_xx", "_xy", "_y")

    def __init__(self) -> None:
        self._n = self._x = self._y = self._xx = self._xy = 0.0
        self._constant = self._slope = self._deviation = 0.0

    def completed(self, cost: int, seconds: float) -> None:
        """Note what one request of that cost took."""
        if self._n:
            off = abs(seconds - self._constant - self._slope * cost)
            self._deviation = _MEMORY * self._deviation + (1 - _MEMORY) * off
        self._n = n = _MEMORY * self._n + 1
        self._x = x = _MEMORY * self._x + cost
        self._y = y = _MEMORY * self._y + seconds
        self._xx = xx = _MEMORY * self._xx + cost * cost
        self._xy = xy = _MEMORY * self._xy + cost * seconds
        mean_x, mean_y = x / n, y / n
        spread = xx / n - mean_x * mean_x
        slope = (xy / n - mean_x * mean_y) / spread if spread > 1e-6 * mean_x else 0.0
        # Neither more tokens nor none can take less than no time.
        slope = min(slope, mean_y / mean_x) if slope > 0 else 0.0
        self._slope, self._constant = slope, mean_y - slope * mean_x

    @property
    def mean(self) -> float:
        """Seconds per token, the constant part spread over them; 0 if not known."""
        return self._y / self._x if self._x else 0.0

    def surely_s(self, cost: int) -> float:
        """Return seconds in which a request of that cost is most likely done."""
        return self._constant + self._slope * cost + _DEVIATIONS * self._deviation
