# Sourced by the run scripts: one way to configure, build and test. Expects setup.sh, and the project's folder as $top.

jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc 2>/dev/null || echo 2)}

# build_folder PRESET [COMPILER]: where that build lies.
build_folder() {
  local folder="$top/build/$1"
  case ${2:-} in
    *clang*) case $1 in clang | fuzz) ;; *) folder+=-clang ;; esac ;;
  esac
  say "$folder"
}

compiler_for() { # compiler_for NAME: g++ or clang++ as given, clang++ meaning the newest installed
  case $1 in
    clang | clang++) say "clang++-$(clang_version)" ;;
    *) say "$1" ;;
  esac
}

# build PRESET COMPILER [TARGET...]: configures, with the parts of the project that $parts switches on and off, and builds.
parts=()
build() {
  local preset=$1 compiler=$2 folder log fresh=() before
  shift 2
  folder=$(build_folder "$preset" "$compiler")
  log="$folder/configure.log"
  mkdir -p "$folder"
  # In a folder of another compiler's, CMake would begin anew without what the preset sets, the optimisation among it.
  before=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$folder/CMakeCache.txt" 2>/dev/null) || true
  [ -z "$before" ] || [ "$before" = "$compiler" ] || [ "${before##*/}" = "$compiler" ] || fresh=(--fresh)
  if ! (cd "$top" && cmake "${fresh[@]}" --preset "$preset" -B "$folder" -DCMAKE_CXX_COMPILER="$compiler" "${parts[@]}") >"$log" 2>&1; then
    cat "$log"
    say "configuring $folder failed"
    return 1
  fi
  local targets=()
  [ $# -eq 0 ] || targets=(--target "$@")
  cmake --build "$folder" -j "$jobs" "${targets[@]}" || { say "building $folder failed"; return 1; }
}

# run_ctest FOLDER ARGUMENT...: runs the tests of a build and sets $passed and $failed.
run_ctest() {
  local folder=$1 log runner=() status=0 total
  shift
  log="$folder/ctest.log"
  # ThreadSanitizer of older compilers cannot map its shadow when the kernel randomises addresses widely.
  if grep -q '^OTLPKIT_SANITIZE:[A-Z]*=thread' "$folder/CMakeCache.txt" && setarch "$(uname -m)" -R true 2>/dev/null; then
    runner=(setarch "$(uname -m)" -R)
  fi
  "${runner[@]}" ctest --test-dir "$folder" -j "${CTEST_PARALLEL_LEVEL:-$jobs}" --output-on-failure --no-tests=error "$@" 2>&1 |
    tee "$log" || true
  status=${PIPESTATUS[0]}
  read -r failed total <<<"$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")"
  if [ -z "${total:-}" ]; then passed=0 failed=1; else passed=$((total - failed)); fi
  if grep -q 'Not Run\|(Skipped)' "$log"; then  # a test that cannot run has failed
    say "some tests did not run"
    [ "$failed" -gt 0 ] || failed=1
  fi
  [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
}
