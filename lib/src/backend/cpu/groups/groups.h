#pragma once

#include <memory>

#include "backend/cpu/fused_group.h"

/// The list of fused groups: a file and a function for each Group::Kind, two for the loss of images
/// and of pixels. make_group() in lower.cpp
/// chooses among them.
namespace renas::cpu {

std::unique_ptr<FusedGroup> make_input(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_conv(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_separable(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_pool(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_add(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_materialise(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_global_average(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_dropout(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_resize(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_select_channels(const Lowering& lowering,
                                                 const plan::Group& group);
std::unique_ptr<FusedGroup> make_pixel_loss(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_loss(const Lowering& lowering, const plan::Group& group);

}  // namespace renas::cpu
