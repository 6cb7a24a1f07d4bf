// Any bytes as a CIFAR file: whole images with labels in range, or InvalidInput.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "cifar.h"
#include "renas/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using renas::prep::CifarLayout;
  for (const CifarLayout& layout :
       {CifarLayout{1, 0, 10}, CifarLayout{2, 1, 100}, CifarLayout{2, 0, 20}}) {
    renas::prep::CifarImages images;
    try {
      renas::prep::parse_cifar(std::span(data, size), layout, "input", images);
      if (images.pixels.size() != images.labels.size() * 3072) std::abort();
      for (const int32_t label : images.labels) {
        if (label < 0 || label >= layout.classes) std::abort();
      }
    } catch (const renas::InvalidInput&) {
    }
  }
  return 0;
}
