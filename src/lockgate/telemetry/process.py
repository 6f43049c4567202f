"""What the process itself uses, read from `/proc` when somebody asks."""

import os
import resource
import time
from pathlib import Path

from lockgate.telemetry.metrics import Metrics

_PROC = Path("/proc/self")


def watch_process(metrics: Metrics) -> None:
    """Let each scrape read CPU time, memory and open files of this process."""
    cpu = metrics.counter("process_cpu_seconds_total").labels()
    memory = metrics.gauge("process_resident_memory_bytes").labels()
    files = metrics.gauge("process_open_fds").labels()
    metrics.gauge("process_start_time_seconds").labels().set(_started_at())
    page = resource.getpagesize()

    def read() -> None:
        cpu.inc(time.process_time() - cpu.value)
        memory.set(int((_PROC / "statm").read_text("ascii").split()[1]) * page)
        files.set(len(os.listdir(_PROC / "fd")))  # noqa: PTH208  names only, and quick

    metrics.on_scrape(read)


def _started_at() -> float:
    # proc(5): the 22nd field of `stat` is ticks after boot; the 2nd may hold spaces.
    fields = (_PROC / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    after_boot_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - after_boot_s)
