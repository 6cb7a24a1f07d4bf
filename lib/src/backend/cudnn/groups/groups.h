#pragma once

#include <memory>

#include "backend/cudnn/fused_group.h"

/// The makers of the groups, one for each Group::Kind; each is defined in a file of its own.
namespace renas::cudnn {

std::unique_ptr<FusedGroup> make_input(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_conv(const Lowering& lowering, const plan::Group& group);
/// A convolution by cuDNN, of those that is_for_cudnn() finds.
std::unique_ptr<FusedGroup> make_dense_conv(const Lowering& lowering, const plan::Group& group);
/// True for the dense convolutions that are left to cuDNN: 1x1 between many channels, and larger
/// windows with many filters, as in stems and auxiliary heads.
bool is_for_cudnn(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_separable(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_pool(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_add(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_materialise(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_global_average(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_dropout(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_resize(const Lowering& lowering, const plan::Group& group);
std::unique_ptr<FusedGroup> make_select_channels(const Lowering& lowering,
                                                 const plan::Group& group);
std::unique_ptr<FusedGroup> make_loss(const Lowering& lowering, const plan::Group& group);

}  // namespace renas::cudnn
