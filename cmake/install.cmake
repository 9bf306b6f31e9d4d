include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/otlpkit")  # header-only: the package is the same on every architecture

# One export per target: whoever uses only otlpkit::api must not need Boost, and adapters come and go with their library.
install(TARGETS otlpkit_api EXPORT otlpkit-api FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT otlpkit-api NAMESPACE otlpkit:: DESTINATION "${package_dir}")
install(TARGETS otlpkit_full EXPORT otlpkit-otlpkit FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT otlpkit-otlpkit NAMESPACE otlpkit:: DESTINATION "${package_dir}")
foreach(adapter IN LISTS OTLPKIT_ADAPTERS)
  install(TARGETS otlpkit_${adapter} EXPORT otlpkit-${adapter} FILE_SET HEADERS
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT otlpkit-${adapter} NAMESPACE otlpkit:: DESTINATION "${package_dir}")
endforeach()

configure_package_config_file(cmake/otlpkitConfig.cmake.in "${PROJECT_BINARY_DIR}/otlpkitConfig.cmake"
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/otlpkitConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/otlpkitConfig.cmake" "${PROJECT_BINARY_DIR}/otlpkitConfigVersion.cmake"
  cmake/Findhiredis.cmake DESTINATION "${package_dir}")

# The prefix is written relative to the file, so that an installed tree can be moved.
file(RELATIVE_PATH pc_to_prefix "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
configure_file(otlpkit.pc.in "${PROJECT_BINARY_DIR}/otlpkit.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/otlpkit.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
