#include "cifar.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas::prep {

void parse_cifar(std::span<const uint8_t> bytes, const CifarLayout& layout, const std::string& name,
                 CifarImages& to) {
  constexpr std::size_t kPlane = std::size_t{32} * 32;
  const auto label_bytes = static_cast<std::size_t>(layout.label_bytes);
  const std::size_t record = label_bytes + 3 * kPlane;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw InvalidInput(fmt::format("{}: {} bytes are not whole records of {} (is it truncated?)",
                                   name, bytes.size(), record));
  }
  const std::size_t count = bytes.size() / record;
  const std::size_t before = to.pixels.size();
  to.pixels.resize(before + count * 3 * kPlane);
  uint8_t* out = to.pixels.data() + before;
  for (std::size_t i = 0; i < count; ++i) {
    const uint8_t* in = bytes.data() + i * record;
    const int32_t label = in[layout.label];
    if (label >= layout.classes) {
      throw InvalidInput(fmt::format("{}: label {} of record {} is not one of the {} classes", name,
                                     label, i, layout.classes));
    }
    to.labels.push_back(label);
    in += label_bytes;
    for (std::size_t p = 0; p < kPlane; ++p) {
      for (std::size_t c = 0; c < 3; ++c) *out++ = in[c * kPlane + p];
    }
  }
}

}  // namespace renas::prep
