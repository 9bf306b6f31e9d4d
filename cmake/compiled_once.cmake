# For tests and examples.
function(otlpkit_optimise target level)
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT MSVC)
    target_compile_options(${target} PRIVATE ${level})
  endif()
endfunction()

# Telemetry and HTTP are compiled once for all of them: Boost.Beast takes its time.
set(shared "${PROJECT_SOURCE_DIR}/examples/shared")
add_library(otlpkit_compiled_once STATIC EXCLUDE_FROM_ALL "${shared}/telemetry.cpp" "${shared}/http.cpp")
set_target_properties(otlpkit_compiled_once PROPERTIES UNITY_BUILD OFF)  # linked object by object
target_link_libraries(otlpkit_compiled_once PUBLIC otlpkit::otlpkit)
target_compile_definitions(otlpkit_compiled_once PUBLIC OTLPKIT_SEPARATE_COMPILATION)
otlpkit_optimise(otlpkit_compiled_once -O1)

# With OTLPKIT_PRECOMPILE clang parses the headers they all include once, and compiles the inline functions and
# instantiations in there into one object (-fmodules-codegen) instead of one copy per program, which needs a linker that
# is quick with what that makes large. Seven tests with AddressSanitizer took 36 CPU seconds instead of 62. Only builds
# that look again at what another one compiles source by source may do so: a source that forgets an #include goes
# unnoticed.
option(OTLPKIT_PRECOMPILE "Let otlpkit's own targets share a precompiled header (clang only)" OFF)
if(OTLPKIT_PRECOMPILE)
  target_precompile_headers(otlpkit_compiled_once PRIVATE "${CMAKE_CURRENT_LIST_DIR}/precompiled.hpp")
  target_compile_options(otlpkit_compiled_once PRIVATE "SHELL:-Xclang -fmodules-codegen" "SHELL:-Xclang -fmodules-debuginfo")
  set(header "${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/otlpkit_compiled_once.dir/cmake_pch.hxx.pch")
  set(object "${CMAKE_CURRENT_BINARY_DIR}/precompiled.o")
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  add_custom_command(OUTPUT "${object}" DEPENDS "${header}" COMMENT "Compiling what the precompiled header holds"
    COMMAND "${CMAKE_CXX_COMPILER}" ${flags} ${sanitize} -c "${header}" -o "${object}")
  add_custom_target(otlpkit_precompiled DEPENDS "${object}")
  target_link_libraries(otlpkit_compiled_once INTERFACE "${object}" -fuse-ld=lld)
endif()

# Links telemetry and HTTP, with OTLPKIT_PRECOMPILE also the precompiled header.
function(otlpkit_link_compiled_once target access)
  target_link_libraries(${target} ${access} otlpkit_compiled_once)
  if(OTLPKIT_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM otlpkit_compiled_once)
    add_dependencies(${target} otlpkit_precompiled)
  endif()
endfunction()
