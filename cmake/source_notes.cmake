# What a test or an example needs beyond otlpkit::otlpkit stands in comments at the top of its source:
#   // links: ZLIB::ZLIB PkgConfig::hiredis -lfoo     targets (their package is found by name) or linker flags
#   // module: plugin.cpp                             a file beside it, built as a shared object next to the program
#   // library: shared.cpp                            a file beside it, built as a shared library the program links
#   // needs: example_cart                            other targets to build first
#   // emits: telemetry                              it tells docs/telemetry_table what it emitted (support/emitted.hpp)
#   // timeout: 300                                   seconds, instead of the default
function(otlpkit_note source key out)
  file(STRINGS "${source}" lines LIMIT_COUNT 30 REGEX "^// ${key}: ")
  string(REGEX REPLACE "// ${key}: *" "" values "${lines}")
  string(REGEX REPLACE "[ ;]+" ";" values "${values}")
  list(REMOVE_ITEM values "")
  set(${out} "${values}" PARENT_SCOPE)
endfunction()

function(otlpkit_link_as_stated target source)
  otlpkit_note("${source}" links wanted)
  foreach(item IN LISTS wanted)
    if(item MATCHES "^PkgConfig::(.+)$")
      set(module "${CMAKE_MATCH_1}")
      if(NOT TARGET ${item})
        find_package(PkgConfig REQUIRED)
        pkg_check_modules(${module} REQUIRED IMPORTED_TARGET GLOBAL ${module})
      endif()
    elseif(item MATCHES "^(.+)::" AND NOT TARGET ${item})
      set(package "${CMAKE_MATCH_1}")
      if(package STREQUAL "SQLite")
        set(package SQLite3)
      endif()
      find_package(${package} REQUIRED)
    endif()
    target_link_libraries(${target} PRIVATE ${item})
  endforeach()
endfunction()
