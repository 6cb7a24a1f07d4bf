#pragma once

#include <memory>

#include "backend/cudnn/fused_group.h"

/// The makers of the groups, one for each Group::Kind; each is defined in a file of its own.
namespace renas::cudnn {

std::unique_ptr<FusedGroup> make_input(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_conv(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_separable(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_pool(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_add(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_materialise(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_global_average(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_dropout(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_loss(const Lowering& lowering, const plan::Group& group);

}  // namespace renas::cudnn
