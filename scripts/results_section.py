"""A script's own section of RESULTS.md: where its figures come from, and the text between two marks, which `scripts/bench` leaves alone."""
import datetime
import os
import platform
import resource
import subprocess

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(HERE, "RESULTS.md")
TICKS = os.sysconf("SC_CLK_TCK")
# A run during which others used more than this many cores is not to be relied on.
OTHERS_NOTED = 0.15


def field(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return "unknown"


def machine():
    memory_mb = int(field("/proc/meminfo", "MemTotal").split()[0]) // 1024
    return f"{len(os.sched_getaffinity(0))} x {field('/proc/cpuinfo', 'model name')}, {memory_mb} MB, Linux {platform.release()}"


def commit():
    told = subprocess.run(["git", "-C", HERE, "describe", "--always", "--exclude", "*", "--dirty= with changes"], capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


class Others:
    """How many cores processes that are not ours use, from now on. What was begun must have ended when it is asked."""

    def __init__(self):
        self.begun = self.now()

    @staticmethod
    def now():
        with open("/proc/stat") as stat:
            words = [int(word) for word in stat.readline().split()[1:9]]
        idle, everything = words[3] + words[4], sum(words)
        ours = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        return (everything - idle) / TICKS, ours, everything / TICKS / os.cpu_count()

    def cores(self):
        (busy, ours, wall), (busy_before, ours_before, wall_before) = self.now(), self.begun
        return max(0.0, (busy - busy_before - (ours - ours_before)) / max(wall - wall_before, 0.01))


def provenance(command, others):
    text = f"Written by `{command}` on {datetime.date.today()} at commit `{commit()}`. Machine: {machine()}.\n"
    if others > OTHERS_NOTED:
        text += f"\n**Disturbed**: other processes used {others:.1f} cores on average while this was measured. Do not rely on it.\n"
    return text


def put(name, text):
    """Puts a section on the page, in place of the one before."""
    begin, end = f"<!-- section {name} -->\n", f"<!-- end {name} -->\n"
    try:
        with open(PAGE) as file:
            page = file.read()
    except FileNotFoundError:
        page = "# Results\n"
    section = begin + text.rstrip("\n") + "\n" + end
    if begin in page and end in page:
        head, rest = page.split(begin, 1)
        page = head + section + rest.split(end, 1)[1]
    else:
        page = page.rstrip("\n") + "\n\n" + section
    with open(PAGE, "w") as file:
        file.write(page)
