"""What a process knows of itself and of the machine (or container) it runs in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from prometheus_client.registry import Collector

from hypertape import __version__
from hypertape.meters import Family, gauges

CGROUP = Path("/sys/fs/cgroup")


class MachineCollector(Collector):
    """Version, memory and disks. `places` are the directories whose disks are told, by what they are for."""

    def __init__(self, places: Mapping[str, Path], *, cgroup: Path = CGROUP) -> None:
        self._places, self._cgroup = dict(places), cgroup

    def collect(self) -> Iterable[Family]:
        """The families, measured now."""
        used, limit = memory(self._cgroup)
        yield gauges("hypertape_build_info", [((__version__,), 1.0)])
        yield gauges("hypertape_memory_used_bytes", [((), used)])
        yield gauges("hypertape_memory_limit_bytes", [((), limit)])
        disks = {(place,): shutil.disk_usage(_existing(path)) for place, path in self._places.items()}
        yield gauges("hypertape_disk_free_bytes", [(place, disk.free) for place, disk in disks.items()])
        yield gauges("hypertape_disk_size_bytes", [(place, disk.total) for place, disk in disks.items()])

    def describe(self) -> Iterable[Family]:
        """Nothing, so that it is not asked when it is registered."""
        return ()


def memory(cgroup: Path) -> tuple[int, int]:
    """Bytes in use, and bytes there are: of the container (cgroup v2) where it has a limit, else of the machine.

    A container's files that are only cached count as free, as the machine's do.
    """
    machine = psutil.virtual_memory()
    limit = _number(cgroup / "memory.max")
    used = _number(cgroup / "memory.current")
    if limit is None or used is None or limit > machine.total:
        return machine.total - machine.available, machine.total
    return max(0, used - _inactive_files(cgroup / "memory.stat")), limit


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _inactive_files(path: Path) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def _existing(path: Path) -> Path:
    """The path, or what there is above it: a spool's directory is made when it is first needed."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())
