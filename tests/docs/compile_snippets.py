#!/usr/bin/env python3
"""compile_snippets.py PROJECT COMPILER FLAG...: compiles every ```cpp block of README.md and docs/*.md.

A block that begins with #include is a file of its own. Any other is the body of a function, in a file that includes
prelude.hpp beside this script.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

project, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
here = pathlib.Path(__file__).parent


def snippets():
    for page in [project / "README.md", *sorted(project.glob("docs/**/*.md")), *sorted(project.glob("examples/**/*.md"))]:
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```cpp\n(.*?)^```$", text, re.M | re.S):
            yield page, text.count("\n", 0, block.start()) + 2, block.group(1)


def trouble(snippet):
    page, line, code = snippet
    if not code.lstrip().startswith("#include"):
        code = f'#include "{here}/prelude.hpp"\n[[maybe_unused]] static void snippet() {{\n#line {line} "{page}"\n{code}}}\n'
    result = subprocess.run([*compiler, "-x", "c++", "-"], input=code, capture_output=True, text=True)
    return f"{page}:{line}: does not compile\n{result.stderr}" if result.returncode != 0 else ""


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    found = list(pool.map(trouble, snippets()))
failed = [text for text in found if text]
print(*failed, f"{len(found)} snippets, {len(failed)} failed", sep="\n")
sys.exit(bool(failed) or not found)
