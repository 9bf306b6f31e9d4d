# Flags for otlpkit's own tests, examples and benchmarks, and for the header verification. Users of the library get none.
if(PROJECT_IS_TOP_LEVEL)
  add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
  add_compile_definitions(BOOST_ASIO_NO_DEPRECATED)  # stay clear of what Asio is about to drop
  set(CMAKE_CXX_EXTENSIONS OFF)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(--param=ggc-min-heapsize=1000000)  # no garbage collection below 1 GB: a tenth of the time
  endif()

  find_program(OTLPKIT_CCACHE ccache)
  if(OTLPKIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${OTLPKIT_CCACHE}")
  endif()
endif()

if(OTLPKIT_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(OTLPKIT_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
  # ThreadSanitizer does not see fences, and Asio frees an any_executor's target behind one. Boost's own count, which Asio
  # takes without std::atomic, orders the same by its operations.
  add_compile_definitions(BOOST_ASIO_DISABLE_STD_ATOMIC)
elseif(OTLPKIT_SANITIZE)
  message(FATAL_ERROR "OTLPKIT_SANITIZE is \"${OTLPKIT_SANITIZE}\": expected address, thread or nothing")
endif()
if(OTLPKIT_SANITIZE)
  add_compile_options(${sanitize})
  add_link_options(${sanitize})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code makes g++ 12 warn of what is not there. Builds without sanitizers, and clang's with them, are strict.
    add_compile_options(-Wno-error)
  endif()
endif()
