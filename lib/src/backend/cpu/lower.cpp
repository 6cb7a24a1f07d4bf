#include "backend/cpu/lower.h"

#include "backend/contract.h"
#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// True if the group's kernel writes whole tiles of its input gradients in memory order: a
/// separable convolution, or a product all of whose terms are 1x1 convolutions of every pixel.
bool writes_in_order(const Graph& graph, const plan::Group& group) {
  if (group.kind == plan::Group::Kind::kSeparable) return true;
  if (group.kind != plan::Group::Kind::kConv) return false;
  for (std::size_t k = 0; k < group.parts.size(); ++k) {
    const Node& conv = graph.node(group.terms[k].conv);
    if (!plan::is_pointwise(conv) || conv.window != Window() || group.parts[k].shifted) {
      return false;
    }
  }
  return true;
}

std::unique_ptr<FusedGroup> make_group(const Lowering& lowering, const plan::Group& group) {
  using Kind = plan::Group::Kind;
  switch (group.kind) {
    case Kind::kInput:
      return make_input(lowering, group);
    case Kind::kConv:
      return make_conv(lowering, group);
    case Kind::kSeparable:
      return make_separable(lowering, group);
    case Kind::kPool:
      return make_pool(lowering, group);
    case Kind::kAdd:
      return make_add(lowering, group);
    case Kind::kMaterialise:
      return make_materialise(lowering, group);
    case Kind::kGlobalAverage:
      return make_global_average(lowering, group);
    case Kind::kDropout:
      return make_dropout(lowering, group);
    case Kind::kResize:
      return make_resize(lowering, group);
    case Kind::kSelectChannels:
      return make_select_channels(lowering, group);
    case Kind::kLoss:
      return contract::labels_per_image(lowering.graph) == 1 ? make_loss(lowering, group)
                                                             : make_pixel_loss(lowering, group);
  }
  return nullptr;
}

}  // namespace

plan::PlanOptions plan_options(const ProgramOptions& options) {
  plan::PlanOptions result;
  result.training = options.training;
  result.batch = options.batch;
  result.precision = options.precision;
  result.channel_block = kBlock;
  result.alignment = aligned(1);
  result.max_depthwise_height = 64;
  result.takes_norm_sums = writes_in_order;
  return result;
}

std::vector<std::unique_ptr<FusedGroup>> lower(const Lowering& lowering) {
  std::vector<std::unique_ptr<FusedGroup>> groups;
  for (const plan::Group& group : lowering.plan.groups) {
    groups.push_back(make_group(lowering, group));
  }
  return groups;
}

}  // namespace renas::cpu
