#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums up what the programs measured: a table to read, and JSON.

The figure of a case is that of its quietest repetition: what the code costs when nobody else uses the core. The
median says how quiet the machine was.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

WARM_UP = 0.1  # of a case's repetitions: what they allocate is not yet the steady state


def case_of(name, runs):
    """One case from its repetitions, as Google Benchmark wrote them."""
    parts = runs[0].get("parts", 1) or 1
    threads = runs[0].get("threads", 1)
    # With several threads, wall time says how many cores were free: the figure is the CPU time of a thread.
    key = "cpu_time" if threads > 1 else "real_time"
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[runs[0]["time_unit"]] / parts
    times = sorted(run[key] * scale for run in runs)
    steady = runs[int(len(runs) * WARM_UP):]
    result = {
        "name": name,
        "ns_min": round(times[0], 3),
        "ns_median": round(statistics.median(times), 3),
        "cpu_ns": round(min(run["cpu_time"] for run in runs) * scale, 3),
        "allocs": round(statistics.fmean(run["allocations"] for run in steady), 6),
    }
    if threads > 1:
        result["threads"] = threads
    return result


def read_cases(folder):
    runs = {}
    for run in json.loads((folder / "cases.json").read_text())["benchmarks"]:
        if run["run_type"] == "iteration":
            if run.get("error_occurred"):
                sys.exit(f"{run['name']}: {run['error_message']}")
            runs.setdefault(run["name"].split("/")[0], []).append(run)
    order = (folder / "names").read_text().split()
    return [case_of(name, runs[name]) for name in order if name in runs]


def read_exports(folder):
    """Programs that are measured as a whole: CPU time, and allocations, of all their threads."""
    results = []
    for path in sorted(folder.glob("*.lines")):
        runs = [json.loads(line) for line in path.read_text().splitlines()]
        times = sorted(run["cpu_ns"] for run in runs)
        results.append({
            "name": path.stem,
            "ns_min": times[0],
            "ns_median": round(statistics.median(times), 2),
            "cpu_ns": times[0],
            "allocs": min(run["allocations"] for run in runs),
            "bytes_per_span": runs[0]["bytes"],
            "peak_rss_kib": max(run["peak_rss_kib"] for run in runs),
            "spans": runs[0]["spans"],
        })
    return results


def compare(results):
    """How many times what otlpkit costs the reference SDK takes for the same, in this run."""
    by_name = {r["name"]: r for r in results}
    for r in results:
        own = by_name.get(r["name"].removeprefix("peer_"))
        if own is not r and own is not None:
            own["peer_ratio"] = r["ratio"] = round(r["ns_min"] / own["ns_min"], 2)


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def machine(options):
    cpu = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    hypervisor = re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo"), re.M)
    compiler, flags = "", ""
    for entry in json.loads(Path(options.commands).read_text()):
        if entry["file"].endswith("/span_bench.cpp"):
            words = entry["command"].split()
            compiler = next(word for word in words if not word.endswith("ccache"))
            flags = " ".join(w for w in words if re.match(r"-(O|std|march|f|DNDEBUG)", w))
    release = dict(re.findall(r'^(\w+)="?(.*?)"?$', read("/etc/os-release"), re.M))
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "virtual": bool(hypervisor),
        "kernel": platform.release(),
        "system": release.get("PRETTY_NAME", platform.system()),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "compiler": first_line([compiler, "--version"]),
        "flags": flags,
        "core": options.core,
        "load_before": options.load,
        "load_after": os.getloadavg()[0],
        "repetitions": options.repetitions,
    }


def rows(results):
    """The table: name, nanoseconds, ratios to the floor and to a tick of the same run, allocations."""
    by_name = {r["name"]: r for r in results}
    floor = by_name.get("floor", {}).get("ns_min")
    tick = by_name.get("tick", {}).get("ns_min")
    peer = any("ratio" in r for r in results)
    table = [["case", "ns", "median", "CPU ns", "x floor", "x tick", "allocations"] + ["reference SDK"] * peer]
    for r in results:
        ratio = lambda base: f"{r['ns_min'] / base:.2f}" if base else ""
        table.append([r["name"], f"{r['ns_min']:.2f}", f"{r['ns_median']:.2f}", f"{r['cpu_ns']:.2f}", ratio(floor),
                      ratio(tick), f"{r['allocs']:.4g}"])
        if peer:
            table[-1].append(f"{r['peer_ratio']:.1f} x" if "peer_ratio" in r else "")
    return table


# What the cases are meant to reach: case, unit, must, wanted. "floor" and "plain" are ratios to other cases of the
# run; "tick/8" is nanoseconds on a machine where a tick takes 8 of them.
TARGETS = [
    ("floor", "tick", 2.6, None),
    ("span_empty", "floor", 1.7, 1.4),
    ("span_3attrs", "floor", 2.4, 2.0),
    ("span_3attrs_event", "floor", 3.2, 2.8),
    ("trace_11", "floor", 2.5, 2.0),
    ("span_unsampled", "floor", 0.35, 0.25),
    ("span_no_sdk", "floor", 0.1, None),
    ("span_3attrs_2threads", "span_3attrs", 1.15, 1.05),
    ("counter", "tick/8", 1, None),
    ("counter_2labels", "tick/8", 10, None),
    ("histogram_exponential", "tick/8", 5, None),
    ("log_2attrs", "floor", 2.4, 1.6),
    ("inject", "tick/8", 15, None),
    ("extract", "tick/8", 30, None),
    ("export_e2e_cpu", "tick/8", 120, 80),
    ("resume_traced", "resume_plain", 1.5, 1.35),
]


def targets(results, compiled):
    """The table of targets: case, must, wanted, measured, and which of the two is met."""
    by_name = {r["name"]: r for r in results}
    table = []

    def row(case, what, must, wanted, measured, bound):
        limit = lambda v: "" if v is None else f"{bound} {v:g}"
        ok = lambda v: measured <= v if bound == "<=" else measured >= v
        met = "no" if not ok(must) else "wanted" if wanted is not None and ok(wanted) else "must"
        table.append({"case": case, "what": what, "must": limit(must), "wanted": limit(wanted),
                      "measured": round(measured, 2), "met": met})

    for case, unit, must, wanted in TARGETS:
        base = by_name.get("tick" if unit == "tick/8" else unit)
        if case not in by_name or base is None:
            continue
        scale = base["ns_min"] / 8 if unit == "tick/8" else base["ns_min"]
        row(case, "ns x 8 / tick" if unit == "tick/8" else f"x {unit}", must, wanted, by_name[case]["ns_min"] / scale,
            "<=")
    if "peer_ratio" in by_name.get("span_3attrs", {}):
        row("span_3attrs", "times faster than the reference SDK", 20, None, by_name["span_3attrs"]["peer_ratio"], ">=")
    others = ("peer_", "export_", "flush_", "decorator_", "request_")
    recording = [r for r in results if not r["name"].startswith(others)]
    if recording:
        row("recording cases", "allocations, the most of any", 0, None, max(round(r["allocs"], 2) for r in recording),
            "<=")
    if "export_e2e_cpu" in by_name:
        row("export_e2e_cpu", "peak resident MiB", 16, None, by_name["export_e2e_cpu"]["peak_rss_kib"] / 1024, "<=")
    sizes = {c["name"]: c for c in compiled}
    if "otlpkit.hpp" in sizes:
        row("otlpkit.hpp", "preprocessed lines", 45000, None, sizes["otlpkit.hpp"]["lines"], "<=")
        peer = next((c for c in compiled if c["name"].startswith("peer: ")), None)
        if peer:
            row("otlpkit.hpp", "x the reference API header's time", 0.25, None,
                sizes["otlpkit.hpp"]["seconds"] / peer["seconds"], "<=")
    if "empty span" in sizes:
        row("empty span", "bytes of code a site", 500, 300, sizes["empty span"]["code_bytes"], "<=")
    return table


def print_table(table):
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--commands", required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--load", type=float, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()

    here = machine(options)
    results = read_cases(options.folder) + read_exports(options.folder)
    compare(results)
    compiled = options.folder / "compile.json"
    compiled = json.loads(compiled.read_text()) if compiled.exists() else []
    print(f"{here['cpu']}, {here['cores']} cores{' (virtual)' if here['virtual'] else ''}, {here['system']}, "
          f"kernel {here['kernel']}, clocksource {here['clocksource']}")
    print(f"{here['compiler']}, {here['flags']}")
    print(f"recording on core {here['core']}, the background thread elsewhere; {here['repetitions']} repetitions in "
          f"random order; load {here['load_before']} before, {here['load_after']:.2f} after")
    print("ns: wall time of one operation in the quietest repetition; CPU time of a thread where there are several")
    print()
    print_table(rows(results))
    for r in results:
        if "bytes_per_span" in r:
            print(f"\n{r['name']}: {r['spans']} spans of {r['bytes_per_span']:.0f} bytes, at most "
                  f"{r['peak_rss_kib'] / 1024:.1f} MiB resident")
    if compiled:
        print()
    for c in compiled:
        if "lines" in c:
            print(f"{c['name']}: {c['lines']} preprocessed lines, {c['seconds']:.2f} s to compile")
        else:
            print(f"{c['name']}: {c['code_bytes']} bytes of code, {c['object_bytes']} in the object file")
    aims = targets(results, compiled)
    print("\ntargets: told, not enforced, as machines differ\n")
    keys = ["case", "what", "must", "wanted", "measured", "met"]
    print_table([keys] + [[str(t[k]) for k in keys] for t in aims])
    options.json.write_text(json.dumps({"machine": here, "results": results, "compile": compiled, "targets": aims},
                                       indent=1) + "\n")


main()
