#!/usr/bin/env python3
"""conan_test.py PROJECT WORK COMPILER VERSION ADAPTER...: runs conanfile.py from export to package.

The conan modules are stand-ins that do what Conan 2 does with these calls: cache variables reach CMake, exports_sources
limits what the build can see, the install goes to the package folder. Everything after that is the real CMake.
"""
import fnmatch
import importlib.util
import os
import shutil
import subprocess
import sys
import types

project, work, compiler, version, *adapters = sys.argv[1:]
problems = []


def check(truth, what):
    if not truth:
        problems.append(what)


class Options(types.SimpleNamespace):
    def get_safe(self, name):
        return getattr(self, name, None)


class ConanFile:
    def requires(self, reference, **traits):
        self.required[reference.split("/")[0]] = traits


class CMakeToolchain:
    def __init__(self, conanfile):
        self.conanfile = conanfile
        self.cache_variables = {}

    def generate(self):
        self.conanfile.generated = dict(self.cache_variables)


class CMakeDeps:
    def __init__(self, conanfile):
        self.conanfile = conanfile

    def generate(self):
        self.conanfile.deps_generated = True


class CMake:
    def __init__(self, conanfile):
        self.conanfile = conanfile

    def configure(self):
        f = self.conanfile
        values = [f"-D{k}={'ON' if v is True else 'OFF' if v is False else v}" for k, v in f.generated.items()]
        subprocess.run(["cmake", "-G", "Ninja", "-S", f.source_folder, "-B", f.build_folder,
                        f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release", *values], check=True)

    def build(self):
        subprocess.run(["cmake", "--build", self.conanfile.build_folder], check=True)

    def install(self):
        f = self.conanfile
        subprocess.run(["cmake", "--install", f.build_folder, "--prefix", f.package_folder], check=True)


def copy(conanfile, pattern, src, dst):
    os.makedirs(dst, exist_ok=True)
    found = [n for n in os.listdir(src) if fnmatch.fnmatch(n, pattern)]
    for name in found:
        shutil.copy(os.path.join(src, name), dst)
    return found


def module(name, **content):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)


standards = []
module("conan", ConanFile=ConanFile)
module("conan.tools")
module("conan.tools.build", check_min_cppstd=lambda conanfile, standard: standards.append(standard))
module("conan.tools.cmake", CMake=CMake, CMakeDeps=CMakeDeps, CMakeToolchain=CMakeToolchain,
       cmake_layout=lambda conanfile: setattr(conanfile, "laid_out", True))
module("conan.tools.files", copy=copy, load=lambda conanfile, path: open(path, encoding="utf-8").read())

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("conanfile", os.path.join(project, "conanfile.py"))
loaded = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loaded)
recipes = [c for c in vars(loaded).values() if isinstance(c, type) and issubclass(c, ConanFile) and c is not ConanFile]
check(len(recipes) == 1, f"conanfile.py defines {len(recipes)} recipes")
recipe = recipes[0]()
check(recipe.package_type == "header-library", f"package_type is {recipe.package_type}")

shutil.rmtree(work, ignore_errors=True)
source, recipe.build_folder, recipe.package_folder = (os.path.join(work, n) for n in ("source", "build", "package"))
recipe.recipe_folder, recipe.source_folder = project, source
os.makedirs(source)
patterns = recipe.exports_sources
exported = 0
for folder, folders, files in os.walk(project):
    folders[:] = [n for n in folders if n not in (".git", "build")]
    for file in files:
        path = os.path.relpath(os.path.join(folder, file), project)
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            os.makedirs(os.path.dirname(os.path.join(source, path)), exist_ok=True)
            shutil.copy(os.path.join(project, path), os.path.join(source, path))
            exported += 1
check(exported > 10, f"only {exported} files exported")

recipe.set_version()
check(recipe.version == version, f"version is {recipe.version}, expected {version}")
recipe.layout()
check(set(recipe.options) == {f"with_{name}" for name in adapters}, f"options are {sorted(recipe.options)}")
check(recipe.default_options.keys() == recipe.options.keys(), f"defaults are for {sorted(recipe.default_options)}")
for chosen in ([], *([name] for name in adapters), adapters):
    recipe.options = Options(**{f"with_{name}": name in chosen for name in adapters})
    recipe.required = {}
    recipe.requirements()
    expected = {"boost", "fmt"} | {recipe.adapters[name].split("/")[0] for name in chosen}
    check(set(recipe.required) == expected, f"requires {sorted(recipe.required)}, expected {sorted(expected)}")
recipe.validate()
check(standards == [20], f"asks for C++ {standards}")
cleared = []
recipe.info = types.SimpleNamespace(clear=lambda: cleared.append(True))
recipe.package_id()
check(cleared, "the package id of a header-only package depends on its settings")
recipe.generate()
recipe.build()
recipe.package()
properties = {}
recipe.cpp_info = types.SimpleNamespace(set_property=properties.__setitem__)
recipe.package_info()
check(properties.get("cmake_find_mode") == "none", f"package_info sets {properties}")

for directory in recipe.cpp_info.builddirs:
    check(os.path.exists(os.path.join(recipe.package_folder, directory, "otlpkitConfig.cmake")),
          f"{directory}/otlpkitConfig.cmake is not in the package")
check(os.path.exists(os.path.join(recipe.package_folder, "licenses", "LICENSE")), "the licence is not in the package")


def headers(root):
    return {os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs if f.endswith(".hpp")}


missing = headers(os.path.join(project, "include")) ^ headers(os.path.join(recipe.package_folder, "include"))
check(not missing, f"headers differ between project and package: {sorted(missing)}")

for problem in problems:
    print("conanfile.py:", problem)
sys.exit(1 if problems else 0)
