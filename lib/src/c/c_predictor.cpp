#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "renas/error.h"
#include "renas/predictor.h"
#include "renas/renas.h"

struct renas_predictor {
  renas::Predictor predictor;
  std::vector<std::string> names;
  std::string error;
};

namespace {

/// Runs `work` and returns 0. If it throws, the predictor keeps the message and -1 is returned.
template <class Work>
int guarded(renas_predictor* predictor, Work&& work) noexcept {
  if (!predictor) return -1;
  try {
    predictor->error.clear();
    work();
    return 0;
  } catch (const std::exception& error) {
    try {
      predictor->error = error.what();
    } catch (...) {
      predictor->error.clear();  // there is no memory for the message
    }
  } catch (...) {
    predictor->error.assign("unknown");  // short enough to need no memory
  }
  return -1;
}

void copy_probabilities(const renas_predictor& predictor, const std::vector<float>& found,
                        float* probabilities, int count) {
  if (!probabilities || count != predictor.predictor.classes()) {
    throw renas::InvalidInput("room for " + std::to_string(count) + " probabilities, expected " +
                              std::to_string(predictor.predictor.classes()));
  }
  std::copy(found.begin(), found.end(), probabilities);
}

}  // namespace

extern "C" {

renas_predictor* renas_predictor_open(const char* path, char* error, int error_size) {
  const auto complain = [&](const char* message) {
    if (error && error_size > 0) std::snprintf(error, error_size, "%s", message);
    return nullptr;
  };
  if (!path) return complain("renas_predictor_open: path is NULL");
  try {
    renas::Predictor predictor{std::string(path)};
    std::vector<std::string> names;
    for (int i = 0; i < predictor.classes(); ++i) names.push_back(predictor.class_name(i));
    return new renas_predictor{std::move(predictor), std::move(names), ""};
  } catch (const std::exception& failure) {
    return complain(failure.what());
  } catch (...) {
    return complain("unknown error");
  }
}

void renas_predictor_close(renas_predictor* predictor) { delete predictor; }

int renas_predictor_classes(const renas_predictor* predictor) {
  return predictor ? predictor->predictor.classes() : 0;
}

const char* renas_predictor_class_name(const renas_predictor* predictor, int label) {
  if (!predictor || label < 0 || label >= predictor->predictor.classes()) return nullptr;
  return predictor->names[static_cast<std::size_t>(label)].c_str();
}

int renas_predictor_predict(renas_predictor* predictor, const void* file, size_t size,
                            float* probabilities, int count) {
  return guarded(predictor, [&] {
    if (!file) throw renas::InvalidInput("renas_predictor_predict: file is NULL");
    const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(file), size);
    copy_probabilities(*predictor, predictor->predictor.predict(bytes), probabilities, count);
  });
}

int renas_predictor_predict_pixels(renas_predictor* predictor, const unsigned char* pixels,
                                   int height, int width, int channels, float* probabilities,
                                   int count) {
  return guarded(predictor, [&] {
    if (!pixels || height < 1 || width < 1 || channels < 1) {
      throw renas::InvalidInput("renas_predictor_predict_pixels: there are no pixels");
    }
    renas::Image image;
    image.shape = {channels, height, width};
    image.pixels.assign(pixels, pixels + image.shape.size());
    copy_probabilities(*predictor, predictor->predictor.predict(image), probabilities, count);
  });
}

const char* renas_predictor_last_error(const renas_predictor* predictor) {
  return predictor ? predictor->error.c_str() : "the predictor is NULL";
}

}  // extern "C"
