#!/bin/bash
# The main job on real images, small enough for two cores: Fashion-MNIST to HDF5, a RENAS search over
# two MPI ranks, the finalists retrained from scratch, the winner's test accuracy beside two
# random cells trained in the same way; then a page about the run and the network as ONNX.
#
#   jobs/demo.sh [FOLDER OF THE PROGRAMS] [FOLDER FOR DATA AND RUN]     RANKS (2), SEED (1)
#
# What an earlier demo left in the second folder is replaced, and nothing else: a demo marks its folder by
# the file made-by-demo.
set -euo pipefail
bin=${1:-build/bin}
out=${2:-demo}
source=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
ranks=${RANKS:-2}

for name in fashion-mnist.h5 run fashion-mnist.onnx; do
  if [ -e "$out/$name" ] && [ ! -e "$out/made-by-demo" ]; then
    echo "$out/$name: no demo has made it ($out/made-by-demo is not there): remove it, or name another" \
      "folder" >&2
    exit 2
  fi
done
mkdir -p "$out"
touch "$out/made-by-demo"
"$bin/renas-prep-idx" "$source" "$out/fashion-mnist.h5" --force
rm -rf "$out/run"

# mpirun refuses root unless told twice; in a container root is who one is.
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores, to OpenMPI 4 and 5; MPICH allows it anyway.
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
mpirun -np "$ranks" "$bin/renas-search" \
  --data "$out/fashion-mnist.h5" --run "$out/run" --seed "${SEED:-1}" \
  --strategy renas --population 4 --sample 2 --children 24 --blocks 5 \
  --cells 1 --filters 8 --max-mult-adds 8000000 --batch 16 --pad 0 --no-flip \
  --in-order --validation 3000 --subset 2000 \
  --retrain-epochs 2 --retrain-subset 36000 --retrain-rate 0.1 --controls 2

# What anyone can use without RENAS: a page about the run, and the network as ONNX.
"$bin/renas-report" "$out/run" > /dev/null
echo "report: $out/run/report.html"
if "$bin/renas-export" "$out/run/best.h5" "$out/fashion-mnist.onnx" --force > /dev/null; then
  echo "ONNX:   $out/fashion-mnist.onnx"
fi
