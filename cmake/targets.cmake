# The library: INTERFACE targets only, split by folder.
#   otlpkit::api      what instrumented code includes: the light layers, standard library only
#   otlpkit::otlpkit  everything that is header-only: adds the SDK, exporters and asio, on Boost and fmt
#   otlpkit::sqlite, ::postgres, ::redis, ::spdlog, ::tls  adapters, usable where their library is found
# Each header belongs to exactly one file set, so that it is installed with its target and verified to compile alone.

set(include_dir "${PROJECT_SOURCE_DIR}/include")
set(OTLPKIT_ADAPTERS "")
set(verify_headers OFF)
if(PROJECT_IS_TOP_LEVEL AND OTLPKIT_BUILD_TESTS)
  set(verify_headers ON)
endif()

# otlpkit_headers(target path...): gives the target its file set; paths are relative to include/.
function(otlpkit_headers target)
  list(TRANSFORM ARGN PREPEND "${include_dir}/" OUTPUT_VARIABLE files)
  target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS "${include_dir}" FILES ${files})
endfunction()

# otlpkit_adapter(NAME PACKAGE package LINKS target... HEADERS regex): one opt-in header group and the library it needs.
# The target is always installed; it can be used, and its headers are verified, where the library is found.
function(otlpkit_adapter name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;HEADERS" "LINKS")
  set(own ${full_headers})
  list(FILTER own INCLUDE REGEX "^otlpkit/${arg_HEADERS}$")
  if(NOT own)
    message(FATAL_ERROR "otlpkit_adapter(${name}): no header matches otlpkit/${arg_HEADERS}")
  endif()
  add_library(otlpkit_${name} INTERFACE)
  set_target_properties(otlpkit_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(otlpkit_${name} INTERFACE otlpkit_full ${arg_LINKS})
  otlpkit_headers(otlpkit_${name} ${own})
  find_package(${arg_PACKAGE} QUIET GLOBAL)
  if(${arg_PACKAGE}_FOUND)
    add_library(otlpkit::${name} ALIAS otlpkit_${name})
    set_target_properties(otlpkit_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${verify_headers})
  endif()
  list(REMOVE_ITEM full_headers ${own})
  set(full_headers "${full_headers}" PARENT_SCOPE)
  set(OTLPKIT_ADAPTERS ${OTLPKIT_ADAPTERS} ${name} PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE full_headers CONFIGURE_DEPENDS RELATIVE "${include_dir}" "${include_dir}/otlpkit/*.hpp")
set(light_headers ${full_headers})
list(FILTER light_headers INCLUDE REGEX
  "^otlpkit/((otlpkit|fwd|version|config)\\.hpp|(core|trace|metrics|log|propagation|resilience|cache|lock|db|messaging|canary)/.*)$")
list(REMOVE_ITEM light_headers otlpkit/log/format.hpp)  # formatted messages are the part of log/ that wants fmt
list(REMOVE_ITEM full_headers ${light_headers})

find_package(Threads REQUIRED)
add_library(otlpkit_api INTERFACE)
add_library(otlpkit::api ALIAS otlpkit_api)
set_target_properties(otlpkit_api PROPERTIES EXPORT_NAME api VERIFY_INTERFACE_HEADER_SETS ${verify_headers})
target_compile_features(otlpkit_api INTERFACE cxx_std_20)
target_link_libraries(otlpkit_api INTERFACE Threads::Threads)
otlpkit_headers(otlpkit_api ${light_headers})
if(OTLPKIT_DISABLE)
  target_compile_definitions(otlpkit_api INTERFACE OTLPKIT_DISABLE)
endif()

list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")  # Findhiredis
otlpkit_adapter(sqlite PACKAGE SQLite3 LINKS SQLite::SQLite3 HEADERS "adapters/sqlite.*\\.hpp")
otlpkit_adapter(postgres PACKAGE PostgreSQL LINKS PostgreSQL::PostgreSQL HEADERS "adapters/postgres.*\\.hpp")
otlpkit_adapter(redis PACKAGE hiredis LINKS hiredis::hiredis HEADERS "adapters/redis.*\\.hpp")
otlpkit_adapter(spdlog PACKAGE spdlog LINKS spdlog::spdlog HEADERS "adapters/spdlog.*\\.hpp")
otlpkit_adapter(tls PACKAGE OpenSSL LINKS OpenSSL::SSL OpenSSL::Crypto HEADERS "(export|http)/tls.*\\.hpp")

find_package(Boost 1.81 CONFIG REQUIRED)
find_package(fmt REQUIRED)
add_library(otlpkit_full INTERFACE)
add_library(otlpkit::otlpkit ALIAS otlpkit_full)
set_target_properties(otlpkit_full PROPERTIES EXPORT_NAME otlpkit VERIFY_INTERFACE_HEADER_SETS ${verify_headers})
target_link_libraries(otlpkit_full INTERFACE otlpkit_api Boost::headers fmt::fmt-header-only)
otlpkit_headers(otlpkit_full ${full_headers})
