"""What the Python programs of the bench share: the clock, the noise, the line that they print."""

import json
import os
import resource
import statistics
import time


def _busy():
    """Seconds that the machine's cores have been busy, and those that this process has."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    except OSError:
        return None
    own = resource.getrusage(resource.RUSAGE_SELF)
    total = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return total - own.ru_utime - own.ru_stime


class Others:
    """Watches what other processes do meanwhile: `cores()` is how many they took on average."""

    def __init__(self):
        self.began, self.busy = time.perf_counter(), _busy()

    def cores(self):
        busy = _busy()
        if busy is None or self.busy is None:
            return 0.0
        return max(0.0, (busy - self.busy) / (time.perf_counter() - self.began))


def peak_gib():
    """The most memory that this process has had resident, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def sample(run, seconds, warmups=8, least=5):
    """Seconds of each run, until `seconds` have passed and `least` samples are there."""
    for _ in range(warmups):
        run()
    samples, began = [], time.perf_counter()
    while len(samples) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        samples.append(time.perf_counter() - start)
    return samples


def answer(unit, samples, others, **more):
    """Prints the line that bench/suite.ts reads."""
    rounded = [float(f"{s:.4g}") for s in samples]
    line = {unit: float(f"{statistics.median(samples):.4g}"), "samples": rounded, "others": round(others, 3)}
    print(json.dumps({**line, **more}))
