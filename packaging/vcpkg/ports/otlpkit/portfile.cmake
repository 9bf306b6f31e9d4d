# An overlay port: it packages the checkout it lies in (vcpkg install otlpkit --overlay-ports=packaging/vcpkg/ports).
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DOTLPKIT_BUILD_TESTS=OFF
    -DOTLPKIT_BUILD_EXAMPLES=OFF
    -DOTLPKIT_BUILD_BENCHMARKS=OFF
    -DOTLPKIT_INSTALL=ON
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/otlpkit)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug" "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
