#include "export/description.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace renas {

std::string preparation_text(const Model& model) {
  const Shape& image = model.network.image;
  const Augmentation& p = model.preparation;
  std::string text;
  if (p.crop == 0) {
    text = fmt::format("scaled (Lanczos) by one factor to cover {} rows and {} columns, centre cut",
                       image.height, image.width);
  } else if (p.shorter_side > 0) {
    text = fmt::format("shorter side scaled (triangle filter) to {}, centre square of {} cut",
                       p.shorter_side, p.crop);
  } else {
    text = fmt::format("centre square of {} cut, smaller pictures scaled to it", p.crop);
  }
  if (model.range_16) {
    text += fmt::format("; 16-bit values {} to {} become 0 to 255", model.range_16->low,
                        model.range_16->high);
  }
  return text;
}

std::map<std::string, std::string> describe(const Model& model) {
  using Json = nlohmann::json;
  const auto text = [](const Json& list) {
    return list.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  const NetworkOptions& n = model.network;
  return {
      {"class_names", text(model.class_names)},
      {"input_mean", text(model.mean)},
      {"input_std", text(model.sd)},
      {"input_layout", n.image.channels == 1 ? "NCHW grey" : "NCHW RGB"},
      {"preparation", preparation_text(model)},
      {"genome", model.genome},
      {"network", fmt::format("{}, N = {}, F = {}, stem {}{}", to_string(n.kind), n.cells,
                              n.filters, n.stem, n.concat_c2 ? ", c-2 concatenated" : "")},
      {"validation_accuracy", fmt::format("{}", model.validation_accuracy)},
      {"producer", "renas " RENAS_VERSION},
  };
}

}  // namespace renas
