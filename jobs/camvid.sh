#!/bin/bash
# Segments streets: prepares CamVid, trains a cell's network as DeepLabv3 from scratch, prints the mean
# IOU on its test set, and shows what the network sees on four of the test images.
#
#   jobs/camvid.sh CAMVID OUT [options of renas-train ...]
#
# Options take the place of those that the script has. CAMVID is a folder as of PASCAL VOC: JPEGImages,
# SegmentationClass (values 0 to 10, 255 is void), ImageSets/Segmentation/{train,val,test}.txt,
# classes.txt. OUT is a folder: data.h5, model.h5, seen/. EPOCHS (60) and RENAS_BIN (build/bin); killed,
# the same command goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
camvid=$1
out=$2
shift 2
bin=${RENAS_BIN:-build/bin}
mkdir -p "$out"
[ -e "$out/data.h5" ] ||
  "$bin/renas-prep-voc" "$camvid" "$out/data.h5" --train train --val val --test test
resume=()
if [ -e "$out/model.h5" ] || [ -e "$out/model.h5.checkpoint" ]; then resume=(--resume); fi
cat > "$out/options.toml" <<TOML
network = "deeplab"
genome = "renasnet"
cells = 2
filters = 24
dropout = 0.1
validation-group = "val"
crop = 241
scales = [0.5, 1.5]
batch = 8
epochs = ${EPOCHS:-60}
learning-rate = 0.03
schedule = "polynomial"
power = 0.9
weight-decay = 1e-4
TOML
"$bin/renas-train" --config "$out/options.toml" --data "$out/data.h5" --out "$out/model.h5" \
  ${resume[@]+"${resume[@]}"} "$@"
mapfile -t shown < <(awk -v folder="$camvid/JPEGImages" 'NR % 60 == 1 { print folder "/" $1 ".jpg" }' \
  "$camvid/ImageSets/Segmentation/test.txt")
"$bin/renas-inspect" segment "$out/model.h5" "${shown[@]}" --out "$out/seen" --force
