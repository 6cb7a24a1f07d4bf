#!/bin/bash
# Installs the build into a fresh folder, moves that elsewhere, and uses it as others do: through
# find_package, through pkg-config, and inside a shared object.
#
#   install_test.sh BUILD_DIRECTORY C++_COMPILER [FLAGS]
set -euo pipefail
build=$1
compiler=$2
flags=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved

# The README shows the consumer as it is.
awk '/^```cpp$/ { on = 1; next } /^```$/ { on = 0 } on' "$here/../../README.md" \
  | diff - "$here/consumer.cpp" ||
  { echo "README.md (<) and tests/install/consumer.cpp (>) differ"; exit 1; }

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
mv "$work/prefix" "$prefix"
for file in lib/librenas.a include/renas/strategy.h lib/pkgconfig/renas.pc bin/renas-search \
  share/doc/renas/README.md; do
  test -e "$prefix/$file" || { echo "not installed: $file"; exit 1; }
done
# What installed headers name lies beside the README, under its path in the source tree.
documents=$(grep -rhoE 'lib/src/[a-z/]+/[A-Z]+\.md' "$prefix/include/renas" | sort -u)
test -n "$documents"
for file in $documents; do
  test -e "$prefix/share/doc/renas/$file" || { echo "named by a header, not installed: $file"; exit 1; }
done

# A weak symbol of Eigen would give way to that of a program with other flags, which rounds otherwise.
! nm -C --defined-only "$prefix/lib/librenas.a" 2> /dev/null | grep -E ' [WVu] .*\bEigen::' ||
  { echo "librenas.a defines the symbols above of a library that its users may have too"; exit 1; }

# An update of a library must not break the package: no patch levels, and no file that the compiler
# finds by itself.
for file in lib/pkgconfig/renas.pc lib/cmake/renas/renas-config.cmake; do
  linked=$(grep -E '^Libs.private:|INTERFACE_LINK_LIBRARIES' "$prefix/$file" | tr ' ";' '\n\n\n')
  grep -qE '^-lz$|/libz\.' <<< "$linked" || { echo "$file does not link -lz: $linked"; exit 1; }
  while read -r library; do
    name=$(basename "$library")
    [[ $name =~ \.so\.[0-9]+\.[0-9] ]] && { echo "$file names a patch level: $library"; exit 1; }
    found=$("$compiler" -print-file-name="$name")
    [[ $(realpath -s "$found") != $(realpath -s "$library") ]] ||
      { echo "$file names a file that the compiler finds by itself: $library"; exit 1; }
  done < <(grep '^/' <<< "$linked" || true)
done

echo "find_package"
cmake -S "$here/project" -B "$work/project" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="$flags" > "$work/configure.log"
cmake --build "$work/project" > "$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/project/consumer"

echo "pkg-config"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046,SC2086  # words are meant
"$compiler" -std=c++20 $flags "$here/consumer.cpp" $(pkg-config --cflags --static --libs renas) \
  -o "$work/consumer"
"$work/consumer"

echo "a space of one's own"
# shellcheck disable=SC2046,SC2086
"$compiler" -std=c++20 $flags "$here/search_own_space.cpp" \
  $(pkg-config --cflags --static --libs renas) -o "$work/own"
"$work/own"

echo "from C"
# shellcheck disable=SC2046,SC2086
"${CC:-cc}" -std=c99 -Wall -Wextra -Werror -pedantic $flags -c "$here/search_in_c.c" \
  $(pkg-config --cflags renas) -o "$work/search_in_c.o"
# shellcheck disable=SC2046,SC2086
"$compiler" $flags "$work/search_in_c.o" $(pkg-config --static --libs renas) -o "$work/search_in_c"
"$work/search_in_c" "$work/search.state"

if grep -q '^RENAS_WITH_MPI:BOOL=ON' "$build/CMakeCache.txt"; then
  echo "over ranks"
  # shellcheck disable=SC2046,SC2086
  OMPI_CXX=$compiler MPICH_CXX=$compiler mpicxx -std=c++20 $flags -DOMPI_SKIP_MPICXX \
    "$here/search_over_ranks.cpp" $(pkg-config --cflags --static --libs renas) -o "$work/ranks"
  [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # More ranks than cores, to OpenMPI 4 and 5; MPICH allows it anyway.
  export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
  mpirun -np 2 "$work/ranks" "$work/data.h5" "$work/run" | tee "$work/ranks.txt"
  grep -q '^winner .* on test' "$work/ranks.txt"
  "$prefix/bin/renas-inspect" run "$work/run" > "$work/inspected.txt"
fi

echo "shared object"
# shellcheck disable=SC2046,SC2086
# All of the archive, so that a library missing from renas.pc is seen here.
"$compiler" -std=c++20 $flags -shared -fPIC "$here/plugin.cpp" -Wl,-z,text -Wl,-z,defs \
  -Wl,--whole-archive "$prefix/lib/librenas.a" -Wl,--no-whole-archive \
  $(pkg-config --cflags --static --libs renas) -o "$work/libplugin.so"
# shellcheck disable=SC2086
"$compiler" -std=c++20 $flags "$here/plugin_host.cpp" -L"$work" -lplugin -Wl,-rpath,"$work" \
  -o "$work/host"
"$work/host"
