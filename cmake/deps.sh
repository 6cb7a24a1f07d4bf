#!/bin/sh
# Installs what the build, the tests and the demo need where apt and rights are there; otherwise
# says what to install. Does nothing where nothing is missing.
set -eu

packages="cmake g++ make pkg-config
  libdnnl-dev libhdf5-dev libopenmpi-dev openmpi-bin libboost-test-dev libeigen3-dev libcli11-dev
  libfmt-dev libspdlog-dev libhwy-dev nlohmann-json3-dev zlib1g-dev libjpeg-dev libpng-dev
  dataset-fashion-mnist"
# Used where they are there: ONNX files, drawings of cells, annotations of SBD, fuzzers in the tests, the
# check of formatting.
optional="libonnx-dev libprotobuf-dev libgraphviz-dev libmatio-dev
  clang-14 libclang-rt-14-dev clang-format-14"

elsewhere() {
  cat >&2 <<TEXT
Not installed: $1

Debian and Ubuntu:  apt-get install $1
Spack:              spack install cmake onednn hdf5~mpi openmpi boost+test eigen cli11 fmt spdlog \\
                      highway nlohmann-json zlib libjpeg-turbo libpng
Modules:            names differ by cluster; look for: module avail cmake gcc oneDNN HDF5 OpenMPI Boost Eigen
What ONNX (libonnx-dev) and Graphviz (libgraphviz-dev) add is left out where they are missing. Other
parts can be left out: -DRENAS_WITH_ONEDNN=OFF, -DRENAS_WITH_HDF5=OFF, -DRENAS_WITH_IMAGES=OFF,
-DRENAS_WITH_MPI=OFF.
TEXT
}

if ! command -v dpkg-query > /dev/null; then
  # Not Debian: CMake finds out what is there, and names what is not.
  command -v cmake > /dev/null || { elsewhere "$(echo $packages)"; exit 1; }
  exit 0
fi

if [ -e /proc/driver/nvidia/version ] && ! command -v nvcc > /dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  cat >&2 <<TEXT
This machine has an NVIDIA GPU and no nvcc. To use it, install the CUDA Toolkit 12 or 13 and cuDNN 9 from NVIDIA
(of cuDNN, "pip install nvidia-cudnn-cu12" or "-cu13" will do), and build by "make gpu". Nothing of it is installed here.
TEXT
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
for package in $optional; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$status" = installed ] || wanted="${wanted:-} $package"
done
[ -z "$missing${wanted:-}" ] && exit 0

root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    root=sudo
  else
    [ -z "$missing" ] && exit 0
    elsewhere "$(echo $missing)"
    # They may be there all the same, from modules or Spack: CMake finds out.
    command -v cmake > /dev/null && exit 0
    exit 1
  fi
fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get -o DPkg::Lock::Timeout=300 update -q > /dev/null
for package in ${wanted:-}; do
  if apt-cache show "$package" > /dev/null 2>&1; then missing="$missing $package"; fi
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
# shellcheck disable=SC2086  # one word a package
$root apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends $missing > /dev/null
