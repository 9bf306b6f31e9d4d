#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What otlpkit costs whoever compiles with it, as JSON: seconds and preprocessed lines of the two umbrella headers, and
bytes of machine code of a span site. usage: compile_cost.py INCLUDE_DIR COMPILER [--peer FLAG...]"""
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = ["-std=c++20", "-O2", "-DNDEBUG"]
ROUNDS = 5


def compiler(*arguments, text=""):
    """Runs the compiler on a source and returns what it printed and the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*COMMAND, *arguments, "-x", "c++", "-"], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def include(name, header, *flags):
    text = f"#include <{header}>\n"
    lines = compiler("-E", *flags, text=text)[0].count("\n")
    seconds = min(compiler("-c", "-o", os.devnull, *flags, text=text)[1] for _ in range(ROUNDS))
    return {"name": name, "lines": lines, "seconds": round(seconds, 3)}


def sections(folder, sites, body, *flags):
    """Bytes of machine code, and of everything that is loaded, with so many functions that hold one span each."""
    functions = "".join(  # each its own number, or the compiler would make them one
        f"void site_{i}(const std::string& user, int items, bool hit) {{ {body} work(user, items, hit, {i}); }}\n"
        for i in range(sites))
    text = ("#include <otlpkit/otlpkit.hpp>\n#include <string>\n"
            "void work(const std::string&, int, bool, int);\n" + functions)
    file = folder / "sites.o"
    compiler("-c", "-o", str(file), *flags, text=text)
    code = loaded = 0
    for line in subprocess.run(["objdump", "-h", "-w", str(file)], capture_output=True, text=True).stdout.splitlines():
        found = re.match(r"\s*\d+ (\S+)\s+([0-9a-f]+) .*\bALLOC\b", line)
        if found:
            loaded += int(found[2], 16)
            if found[1].startswith(".text"):
                code += int(found[2], 16)
    return code, loaded


def per_site(name, body, *flags):
    with tempfile.TemporaryDirectory() as folder:
        few, many = (sections(Path(folder), n, body, *flags) for n in (4, 36))
        bare_few, bare_many = (sections(Path(folder), n, "", *flags) for n in (4, 36))
    code, loaded = ((many[i] - few[i] - bare_many[i] + bare_few[i]) / 32 for i in (0, 1))
    return {"name": name, "code_bytes": round(code), "object_bytes": round(loaded)}


def disassembly(body, *flags):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sites.o"
        sections(Path(folder), 4, body, *flags)
        command = ["objdump", "-dr", "--no-show-raw-insn", str(file)]
        shown = subprocess.run(command, capture_output=True, text=True).stdout
    return shown.split("Disassembly", 1)[1]


COMMAND = [sys.argv[2], *FLAGS, "-I", sys.argv[1]]
attributes = 'OTLPKIT_SPAN("child", {"user_id", user}, {"item_count", items}, {"cache_hit", hit});'
results = [
    include("otlpkit.hpp", "otlpkit/otlpkit.hpp"),
    include("otlpkit.hpp, disabled", "otlpkit/otlpkit.hpp", "-DOTLPKIT_DISABLE"),
    include("telemetry.hpp", "otlpkit/telemetry.hpp", "-DFMT_HEADER_ONLY", "-DBOOST_ASIO_NO_DEPRECATED"),
    per_site("empty span", 'OTLPKIT_SPAN("child");'),
    per_site("span with 3 attributes", attributes),
    per_site("span with 3 attributes, disabled", attributes, "-DOTLPKIT_DISABLE"),
]
results[-1]["same_instructions"] = disassembly(attributes, "-DOTLPKIT_DISABLE") == disassembly("", "-DOTLPKIT_DISABLE")
if len(sys.argv) > 3 and sys.argv[3] == "--peer":
    results.append(include("peer: opentelemetry/trace/provider.h", "opentelemetry/trace/provider.h", *sys.argv[4:]))
print(json.dumps(results))
