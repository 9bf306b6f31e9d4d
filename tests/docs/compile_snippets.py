#!/usr/bin/env python3
"""compile_snippets.py PROJECT COMPILER FLAG...: compiles every ```cpp block of README.md and docs/*.md.

A block that begins with #include is a file of its own. Any other is the body of a function, in a file that includes
prelude.hpp beside this script.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

project, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
here = pathlib.Path(__file__).parent
failed = count = 0
for page in [project / "README.md", *sorted(project.glob("docs/**/*.md")), *sorted(project.glob("examples/**/*.md"))]:
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```cpp\n(.*?)^```$", text, re.M | re.S):
        line = text.count("\n", 0, block.start()) + 2
        code = block.group(1)
        if not code.lstrip().startswith("#include"):
            code = f'#include "{here}/prelude.hpp"\n[[maybe_unused]] static void snippet() {{\n#line {line} "{page}"\n{code}}}\n'
        with tempfile.NamedTemporaryFile("w", suffix=".cpp", encoding="utf-8") as file:
            file.write(code)
            file.flush()
            result = subprocess.run([*compiler, file.name], capture_output=True, text=True)
        count += 1
        if result.returncode != 0:
            failed += 1
            print(f"{page}:{line}: does not compile\n{result.stderr}")
print(f"{count} snippets, {failed} failed")
sys.exit(failed != 0 or count == 0)
