#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "backend/cudnn/conv_plan.h"

namespace renas::cudnn {

/// The plans of a backend: those of one network serve the next. Several threads may ask.
class PlanCache {
 public:
  explicit PlanCache(ConvTarget target) : target_(std::move(target)) {}
  /// Throws as ConvPlan does.
  std::shared_ptr<const ConvPlan> get(const ConvShape& shape, const std::string& layer);

 private:
  ConvTarget target_;
  std::mutex mutex_;
  std::map<ConvShape, std::shared_ptr<const ConvPlan>> plans_;
};

}  // namespace renas::cudnn
