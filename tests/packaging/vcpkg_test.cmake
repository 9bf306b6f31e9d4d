# cmake -DPROJECT= -DWORK= -DCOMPILER= -DVERSION= -DADAPTERS= -P vcpkg_test.cmake: runs the overlay port's portfile. The vcpkg_*
# functions are stand-ins that do what vcpkg does with these calls, in their release half; CMake behind them is real.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${WORK}")
set(CURRENT_PACKAGES_DIR "${WORK}/packages")
set(PORT otlpkit)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  run("${CMAKE_COMMAND}" -G Ninja -S "${arg_SOURCE_PATH}" -B "${WORK}/build" -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR} ${arg_OPTIONS})
endfunction()

function(vcpkg_cmake_install)
  run("${CMAKE_COMMAND}" --build "${WORK}/build" --target install)
endfunction()

function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH" "")
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/otlpkitConfig.cmake")
    message(FATAL_ERROR "no CMake package in ${arg_CONFIG_PATH}")
  endif()
  file(RENAME "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}" "${WORK}/config")
  file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}/share")
  file(RENAME "${WORK}/config" "${CURRENT_PACKAGES_DIR}/share/${PORT}")
endfunction()

function(vcpkg_fixup_pkgconfig)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/share/pkgconfig/otlpkit.pc")
    message(FATAL_ERROR "no share/pkgconfig/otlpkit.pc")
  endif()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE ${arg_FILE_LIST} "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()

include("${PROJECT}/packaging/vcpkg/ports/otlpkit/portfile.cmake")

foreach(file IN ITEMS include/otlpkit/otlpkit.hpp include/otlpkit/telemetry.hpp share/otlpkit/otlpkitConfig.cmake
        share/otlpkit/otlpkitConfigVersion.cmake share/otlpkit/copyright)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/${file}")
    message(FATAL_ERROR "${file} is not in the package")
  endif()
endforeach()

# Manifest and port say what version.hpp says, and agree on what otlpkit needs.
foreach(manifest IN ITEMS vcpkg.json packaging/vcpkg/ports/otlpkit/vcpkg.json)
  file(READ "${PROJECT}/${manifest}" json)
  string(JSON stated GET "${json}" version-semver)
  if(NOT stated STREQUAL VERSION)
    message(FATAL_ERROR "${manifest} says version ${stated}, version.hpp ${VERSION}")
  endif()
  string(JSON features GET "${json}" features)
  list(APPEND all_features "${features}")
endforeach()
list(REMOVE_DUPLICATES all_features)
list(LENGTH all_features kinds)
foreach(feature IN LISTS ADAPTERS)
  if(NOT all_features MATCHES "\"${feature}\"")
    message(FATAL_ERROR "no feature ${feature}")
  endif()
endforeach()
if(NOT kinds EQUAL 1)
  message(FATAL_ERROR "vcpkg.json and the port state different features")
endif()
