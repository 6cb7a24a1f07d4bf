#pragma once

#include "search/independent_sampling.h"

namespace renas::search {

/// Random search (`random`): every genome is drawn uniformly and learns nothing from the others.
class RandomSearch final : public IndependentSampling {
 public:
  using IndependentSampling::IndependentSampling;

 private:
  Genome draw() override;
};

}  // namespace renas::search
