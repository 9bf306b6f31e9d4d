import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class OtlpkitConan(ConanFile):
    name = "otlpkit"
    description = "OpenTelemetry traces, metrics and logs for C++20, header-only"
    license = "MIT"
    topics = ("opentelemetry", "otlp", "tracing", "metrics", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    adapters = {
        "postgres": "libpq/[>=14]",
        "redis": "hiredis/[>=1 <2]",
        "spdlog": "spdlog/[>=1.10 <2]",
        "sqlite": "sqlite3/[>=3.40 <4]",
        "tls": "openssl/[>=3 <4]",
    }
    options = {f"with_{name}": [True, False] for name in adapters}
    default_options = {**{option: False for option in options}, "with_tls": True}
    no_copy_source = True
    exports_sources = "CMakeLists.txt", "cmake/*", "include/*", "otlpkit.pc.in", "LICENSE"

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include/otlpkit/version.hpp"))
        self.version = re.search(r'#define OTLPKIT_VERSION "([0-9.]+)"', header).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", options={"header_only": True}, transitive_headers=True)
        self.requires("fmt/[>=9]", transitive_headers=True)
        for name, library in self.adapters.items():
            if self.options.get_safe(f"with_{name}"):
                self.requires(library, transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["OTLPKIT_BUILD_TESTS"] = False
        toolchain.cache_variables["OTLPKIT_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["OTLPKIT_BUILD_BENCHMARKS"] = False
        toolchain.cache_variables["OTLPKIT_INSTALL"] = True
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # Consumers use otlpkit's own CMake package, so that targets and components are the same everywhere.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["share/cmake/otlpkit"]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
