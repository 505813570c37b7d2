"""The processes that a process has started, and those that these have, as the system shows them."""
import dataclasses
import os


@dataclasses.dataclass
class Process:
    pid: int
    parent: int
    command: str
    processor_s: float  # without what its children took that have ended
    memory_mb: float  # resident now


def read(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().replace(b"\0", b" ").decode(errors="replace")
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    return Process(pid, int(fields[1]), command, (int(fields[11]) + int(fields[12])) / ticks, int(fields[21]) * page / 1e6)


def descendants(pid):
    """Not the process itself."""
    everyone = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                everyone.append(read(int(name)))
        except OSError:  # it has ended
            pass
    found, parents = [], {pid}
    while parents:
        children = [process for process in everyone if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found
