#pragma once

#include "renas/model.h"
#include "renas/random.h"

namespace renas::test {

/// A small model whose every field differs from its default; the same each time.
inline Model sample_model() {
  Model model;
  model.genome = "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3";
  model.network = {.cells = 1, .filters = 4, .image = {1, 12, 10}, .classes = 3, .concat_c2 = true};
  model.class_names = {"cat", "dog", "Käfer"};
  model.mean = {0.25};
  model.sd = {0.5};
  model.preparation.crop = 10;
  model.preparation.shorter_side = 12;
  model.range_16 = Range16{10, 4000};
  model.validation_accuracy = 0.75;
  model.validation_balanced_accuracy = 0.5;
  Random random(1);
  model.weights = initialize(graph_of(model), random);
  return model;
}

}  // namespace renas::test
