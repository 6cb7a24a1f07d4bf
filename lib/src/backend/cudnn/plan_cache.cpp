#include "backend/cudnn/plan_cache.h"

namespace renas::cudnn {

std::shared_ptr<const ConvPlan> PlanCache::get(const ConvShape& shape, const std::string& layer) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const ConvPlan>& plan = plans_[shape];
  if (!plan) plan = std::make_shared<const ConvPlan>(shape, target_, layer);
  return plan;
}

}  // namespace renas::cudnn
