#include "backend/plan/views.h"

namespace renas::plan {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

MapData Views::map(int stored) const {
  const Stored& s = plan_.stored[at(stored)];
  return {arena_ + s.offset, s.is_bf16};
}

MapData Views::gradient(int value) const {
  const Value& v = plan_.values[at(value)];
  return {arena_ + v.offset, plan_.stored[at(v.stored)].is_bf16};
}

InputView Views::input(const Part& part) const {
  const Value& value = plan_.values[at(part.value)];
  InputView view;
  view.map = plan_.stored[at(value.stored)].map;
  view.data = map(value.stored);
  if (value.norm >= 0) {
    view.scale = norms_[at(value.norm)].scale;
    view.shift = norms_[at(value.norm)].shift;
  }
  view.relu = part.relu;
  if (part.gradient) view.gradient = gradient(part.value);
  view.accumulate = part.accumulate;
  return view;
}

OutputMap Views::output(int stored) const {
  const Stored& s = plan_.stored[at(stored)];
  OutputMap out;
  out.map = s.map;
  out.data = map(stored);
  if (plan_.values[at(s.raw)].written) out.gradient = gradient(s.raw);
  const int norm = norm_of(stored);
  if (norm < 0) return out;
  const NormCoefficients& coefficients = norms_[at(norm)];
  out.centre = coefficients.centre;
  if (!plan_.norms[at(norm)].fused) return out;
  out.gradient = gradient(s.normalised);
  out.dy_scale = coefficients.dy_scale;
  out.x_scale = coefficients.x_scale;
  out.offset = coefficients.offset;
  return out;
}

int Views::channels(const Part& part) const {
  return plan_.stored[at(plan_.values[at(part.value)].stored)].shape.channels;
}

int Views::norm_of(int stored) const {
  const Stored& s = plan_.stored[at(stored)];
  return s.normalised < 0 ? -1 : plan_.values[at(s.normalised)].norm;
}

}  // namespace renas::plan
