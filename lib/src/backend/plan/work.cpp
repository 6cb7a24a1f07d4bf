#include "backend/plan/work.h"

namespace renas::plan {

namespace {

double map_bytes(const Map& map, const MapData& data, int images) {
  return static_cast<double>(data.bytes(map.size())) * images;
}

/// Counts the operations of `passes` forward passes of one image.
void add_flops(const GroupWork& group, double passes, Work& work) {
  if (!group.has_weights || !group.out.data.is_bf16()) {
    work.flops += 2 * group.mult_adds * passes;
    return;
  }
  work.bf16_flops += 2 * (group.mult_adds - group.depthwise) * passes;
  work.bf16_depthwise_flops += 2 * group.depthwise * passes;
}

}  // namespace

Work forward_work(const GroupWork& group, int images) {
  Work work;
  add_flops(group, images, work);
  for (const InputView& in : group.inputs) work.bytes += map_bytes(in.map, in.data, images);
  if (group.out.data) work.bytes += map_bytes(group.out.map, group.out.data, images);
  return work;
}

Work backward_work(const GroupWork& group, int images) {
  Work work;
  if (!group.backward) return work;
  bool data_gradient = false;
  for (const InputView& in : group.inputs) {
    const double bytes = map_bytes(in.map, in.data, images);
    if (group.has_weights || group.reads_inputs || in.relu) work.bytes += bytes;
    if (!in.gradient) continue;
    data_gradient = true;
    work.bytes += in.accumulate ? 2 * bytes : bytes;
  }
  if (group.out.gradient && (data_gradient || group.has_weights)) {
    const double bytes = map_bytes(group.out.map, group.out.gradient, images);
    work.bytes += group.out.dy_scale != nullptr ? 2 * bytes : bytes;
  }
  add_flops(group, images * ((group.has_weights ? 1 : 0) + (data_gradient ? 1 : 0)), work);
  return work;
}

Work update_work(const Graph& graph) {
  Work work;
  for (const Parameter& p : graph.parameters()) {
    if (!p.trainable()) continue;
    work.flops += 6 * static_cast<double>(p.size());
    work.bytes += 24 * static_cast<double>(p.size());
  }
  return work;
}

}  // namespace renas::plan
