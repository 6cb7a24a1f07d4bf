#include "backend/plan/views.h"

namespace renas::plan {

MapData Views::map(int stored) const {
  const Stored& s = plan_.stored[stored];
  return {arena_ + s.offset, s.is_bf16};
}

MapData Views::gradient(int value) const {
  const Value& v = plan_.values[value];
  return {arena_ + v.offset, plan_.stored[v.stored].is_bf16};
}

InputView Views::input(const Part& part) const {
  const Value& value = plan_.values[part.value];
  InputView view;
  view.map = plan_.stored[value.stored].map;
  view.data = map(value.stored);
  if (value.norm >= 0) {
    view.scale = norms_[value.norm].scale;
    view.shift = norms_[value.norm].shift;
  }
  view.relu = part.relu;
  if (part.gradient) view.gradient = gradient(part.value);
  view.accumulate = part.accumulate;
  return view;
}

OutputMap Views::output(int stored) const {
  const Stored& s = plan_.stored[stored];
  OutputMap out;
  out.map = s.map;
  out.data = map(stored);
  if (plan_.values[s.raw].written) out.gradient = gradient(s.raw);
  const int norm = norm_of(stored);
  if (norm < 0) return out;
  const NormCoefficients& coefficients = norms_[norm];
  out.centre = coefficients.centre;
  if (!plan_.norms[norm].fused) return out;
  out.gradient = gradient(s.normalised);
  out.dy_scale = coefficients.dy_scale;
  out.x_scale = coefficients.x_scale;
  out.offset = coefficients.offset;
  return out;
}

int Views::channels(const Part& part) const {
  return plan_.stored[plan_.values[part.value].stored].shape.channels;
}

int Views::norm_of(int stored) const {
  const Stored& s = plan_.stored[stored];
  return s.normalised < 0 ? -1 : plan_.values[s.normalised].norm;
}

}  // namespace renas::plan
