"""What ``zeropoint bench`` reports: latency in turns with other runtimes, the profile of a plan, the CPU's peak."""

from zeropoint.report.macs import macs
from zeropoint.report.peak import Peak, measured_peak
from zeropoint.report.profile import Profile, profiled
from zeropoint.report.statistics import Measurement, Ratio, ratio
from zeropoint.report.turns import Entry, Limits, entry_for, in_turns

__all__ = [
    "Entry",
    "Limits",
    "Measurement",
    "Peak",
    "Profile",
    "Ratio",
    "entry_for",
    "in_turns",
    "macs",
    "measured_peak",
    "profiled",
    "ratio",
]
