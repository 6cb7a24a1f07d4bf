#!/bin/bash
# make gpu-bundle: packs what `make gpu-test` needs on a machine that has a GPU, nvcc and cuDNN and little else:
#
#   tests/gpu/bundle.sh BUILD OUT
#
# builds for GPUs in BUILD and fills the folder OUT (and OUT.tar.gz, with the sources) with
#
#   bin/       test-conformance, test-cudnn-plans, renas-bench, gpu-ceilings: run as they are where the C
#              library is new enough
#   outside/   headers, libraries and CMake packages of fmt, spdlog, CLI11, nlohmann/json, Eigen, zlib and
#              Boost.Test: otherwise the programs are built with these
#
# The commit must be clean: a result is worth nothing if nobody can say what it was measured on.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
out=$2
if [ -n "$(git status --porcelain)" ]; then
  echo "gpu-bundle: there are changes that are not committed; commit them first" >&2
  exit 2
fi
programs="test-conformance test-cudnn-plans renas-bench gpu-ceilings"

cmake -S . -B "$build" -G "Unix Makefiles" -DRENAS_CUDA=ON -DRENAS_WITH_HDF5=OFF -DRENAS_WITH_MPI=OFF -DRENAS_WITH_IMAGES=OFF \
  -DRENAS_WITH_ONEDNN=OFF -DRENAS_WITH_NCCL=OFF -DCMAKE_EXE_LINKER_FLAGS="-static-libstdc++ -static-libgcc" ${CMAKE_ARGS:-} > /dev/null
# shellcheck disable=SC2086  # words are meant
cmake --build "$build" --parallel "${JOBS:-$(nproc)}" --target $programs

rm -rf "$out"
mkdir -p "$out/bin" "$out/outside"
git rev-parse HEAD > "$out/commit"
for program in $programs; do
  strip -o "$out/bin/$program" "$build/bin/$program"
done

# Headers: those that the compiler read, of which CMake's makefiles keep lists.
find "$build" -name compiler_depend.internal -exec cat {} + |
  sed -n -E 's#^ (/usr/include/(boost|fmt|spdlog|CLI|eigen3|nlohmann|zlib|zconf).*)#\1#p' | sort -u > "$out/headers"
grep -q fmt "$out/headers" || { echo "gpu-bundle: no list of headers in $build" >&2; exit 1; }
tar -C / -cf - --files-from <(sed 's#^/##' "$out/headers") | tar -C "$out/outside" --strip-components=1 -xf -
rm "$out/headers"
# CMake packages and libraries, under the paths that the packages know each other by.
for package in fmt spdlog CLI11 nlohmann_json Eigen3 Boost boost_headers boost_unit_test_framework; do
  folder=$(sed -n "s/^${package}_DIR:PATH=//p" "$build/CMakeCache.txt")
  mkdir -p "$out/outside/${folder#/usr/}"
  cp -r "$folder/." "$out/outside/${folder#/usr/}"
done
folder=$(dirname "$(sed -n 's/^Boost_DIR:PATH=//p' "$build/CMakeCache.txt")")
cp "$folder"/BoostDetect*.cmake "$out/outside/${folder#/usr/}"
libraries=$(dirname "$folder")
cp -P "$libraries"/lib{fmt,spdlog,boost_unit_test_framework}.so* "$libraries/libz.a" "$out/outside/${libraries#/usr/}"
# The sources, so that one file is enough.
rm -rf "$out.tar" "$out.tar.gz"
git archive --prefix=renas/ HEAD -o "$out.tar"
tar -rf "$out.tar" --transform "s#^$(basename "$out")#renas/gpu-bundle#" -C "$(dirname "$out")" "$(basename "$out")"
gzip -9 "$out.tar"
du -sh "$out" "$out.tar.gz"
