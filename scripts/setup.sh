# Sourced by the run scripts: installs what a command needs from the archives of Debian or Ubuntu, and nothing twice.
# With everything in place it only asks dpkg, so a second run needs neither network nor rights.

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
has_candidate() { # not a pipe into grep -q: pipefail would take its early exit for a failure
  local policy
  policy=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)
  [[ $policy == *"Candidate: "[!\(]* ]]
}

# The packages of one purpose. Names that differ between releases are settled later, by package_for.
packages_of() {
  local build=(g++ cmake ninja-build libc6-dev boost libfmt-dev libsqlite3-dev libssl-dev)
  case $1 in
    examples) say "${build[@]}" ;;
    clients) say libpq-dev libhiredis-dev ;;
    tests) say "${build[@]}" libpq-dev libhiredis-dev doctest-dev libspdlog-dev zlib1g-dev pkg-config openssl python3 python3-protobuf python3-opentelemetry-proto
      packages_of prometheus ;;
    prometheus) say prometheus ;;
    benchmarks) say "${build[@]}" libbenchmark-dev ;;
    clang) say clang clang-rt llvm lld ;;
    lint) say clang-format-14 clang-tidy ;;
    services) say postgresql-15 libpq-dev redis-server libhiredis-dev ;;
    *) die "no package group called $1" ;;
  esac
}

# The newest clang that is installed, else the newest that can be: 16 at least, 14 lacks the coroutines of libstdc++ 12.
clang_version() {
  local v
  for v in 21 20 19 18 17 16; do is_installed "clang-$v" && { say "$v"; return; }; done
  for v in 21 20 19 18 17 16; do has_candidate "clang-$v" && { say "$v"; return; }; done
  return 1
}

boost_is_new_enough() {
  local version
  version=$(sed -n 's/^#define BOOST_VERSION \([0-9]*\)$/\1/p' /usr/include/boost/version.hpp 2>/dev/null) &&
    [ "${version:-0}" -ge 108100 ] && [ -e /usr/include/boost/beast.hpp ]
}

# Whether a package, or what stands for it, is there.
is_there() {
  case $1 in
    boost) boost_is_new_enough ;;
    clang) is_installed "clang-$(clang_version)" ;;
    llvm) is_installed "llvm-$(clang_version)" ;;
    clang-rt) is_installed "libclang-rt-$(clang_version)-dev" ;;
    clang-tidy) is_installed "clang-tidy-$(clang_version)" ;;
    *) is_installed "$1" ;;
  esac
}

package_for() {
  local v=
  case $1 in
    clang | clang-rt | clang-tidy | llvm) v=$(clang_version) || die "no clang 16 or newer in this machine's package archives" ;;
  esac
  case $1 in
    boost) if has_candidate libboost1.81-dev; then say libboost1.81-dev; else say libboost-dev; fi ;;
    clang) say "clang-$v" ;;
    clang-rt) say "libclang-rt-$v-dev" ;;
    clang-tidy) say "clang-tidy-$v" ;;
    llvm) say "llvm-$v" ;;
    *) say "$1" ;;
  esac
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() { # quiet, unless it fails
  local output
  output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) ||
    { printf '%s\n' "$output" | tail -n 30 >&2; return 1; }
}

# The mirror this machine's apt already uses for its own release; its backports are beside it.
debian_mirror() {
  local release=$1 mirror
  mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v release="$release" '
    /^URIs:/ {uri = $2}
    /^Suites:/ {for (i = 2; i <= NF; i++) if ($i == release) found = 1}
    /^$/ {if (found) exit; uri = ""}
    END {if (found) print uri}')
  [ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -E 's/^deb +\[[^]]*\]/deb/' | awk -v release="$release" '$1 == "deb" && $3 == release {print $2; exit}')
  say "${mirror:-http://deb.debian.org/debian}"
}

# The decoder of the official OTLP schema is younger than Debian 12: it comes from the backports, and only it.
add_backports() {
  local release keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=
  release=$(. /etc/os-release && say "${VERSION_CODENAME:-}")
  [ -n "$release" ] || die "python3-opentelemetry-proto: /etc/os-release names no release to take backports of"
  [ -e $keyring ] && signed="[signed-by=$keyring] "
  say "setup: adding the package source $release-backports (/etc/apt/sources.list.d/otlpkit-backports.list)"
  say "deb $signed$(debian_mirror "$release") $release-backports main" |
    as_root tee /etc/apt/sources.list.d/otlpkit-backports.list >/dev/null
  apt update
}

# Servers start as soon as they are installed, unless a policy forbids it; the tests start their own.
without_starting_services() {
  local policy=/usr/sbin/policy-rc.d ours= status=0
  if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  "$@" || status=$?
  [ -z "$ours" ] || as_root rm -f $policy
  return $status
}

install_packages() {
  local runner=() options=(--no-install-recommends)
  case " $* " in *-server* | *postgresql* | *" prometheus "*) runner=(without_starting_services) ;; esac
  [ "${CI:-}" = true ] || options+=(--no-remove)  # outside CI, nothing of the machine's owner goes
  "${runner[@]}" apt install -y "${options[@]}" "$@" || {
    ! is_installed libboost1.74-dev || say "setup: libboost1.74-dev cannot be installed beside Boost 1.81: remove it and run this again" >&2
    die "setup: apt-get could not install: $*"
  }
}

# need PURPOSE...: makes sure that the packages of these purposes are installed.
need() {
  local name names purpose wanted=() missing=() regular=()
  for purpose in "$@"; do read -ra names <<<"$(packages_of "$purpose" | tr '\n' ' ')"; wanted+=("${names[@]}"); done

  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "setup: not a Debian system; these must be there already, by whatever name: ${wanted[*]}"
    return
  fi
  for name in "${wanted[@]}"; do is_there "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "setup: ${missing[*]} must be installed, and that takes root or sudo. As root: apt-get install ${missing[*]}"
  fi
  say "setup: looking up ${missing[*]}"
  apt update || die "setup: apt-get update failed: is this machine offline?"
  for name in "${missing[@]}"; do
    [ "$name" = python3-opentelemetry-proto ] && ! has_candidate "$name" && continue
    regular+=("$(package_for "$name")")
  done
  if [ ${#regular[@]} -gt 0 ]; then
    say "setup: installing ${regular[*]}"
    install_packages "${regular[@]}"
  fi
  if [[ " ${missing[*]} " == *" python3-opentelemetry-proto "* ]] && ! is_installed python3-opentelemetry-proto; then
    has_candidate python3-opentelemetry-proto || add_backports
    say "setup: installing python3-opentelemetry-proto"
    install_packages -t "$(. /etc/os-release && say "$VERSION_CODENAME")-backports" python3-opentelemetry-proto
  fi
  for name in "${missing[@]}"; do is_there "$name" || die "setup: $name is still missing"; done
}
