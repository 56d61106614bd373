"""What the processor can do."""

from pathlib import Path


def processor_info() -> dict[str, str]:
    """The fields of /proc/cpuinfo, those of the last core; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)


def has_units(name: str) -> bool:
    """Whether the processor has vector or matrix units of that name, such as `amx_bf16`."""
    return name in processor_info().get("flags", "").split()
