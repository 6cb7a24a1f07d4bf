#include "sbd.h"

#include <fmt/format.h>

#include <memory>
#include <string_view>

#include "files.h"
#include "renas/error.h"
#ifdef RENAS_WITH_MATIO
#include <matio.h>
#endif

namespace renas::prep {

#ifdef RENAS_WITH_MATIO

namespace {

struct CloseMat {
  void operator()(mat_t* mat) const { Mat_Close(mat); }
};
struct FreeVariable {
  void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};

}  // namespace

bool reads_sbd() { return true; }

Image read_sbd_mask(const std::string& path) {
  // MAT files of version 7.3 are HDF5, which threads may not read at the same time.
  constexpr std::string_view kVersion5 = "MATLAB 5.0 MAT-file";
  const std::vector<uint8_t> bytes = read_file(path);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  if (std::string_view(text, bytes.size()).substr(0, kVersion5.size()) != kVersion5) {
    throw InvalidInput(fmt::format(
        "no MATLAB 5 file, as SBD's are (it begins otherwise than '{}'; save -v7 writes one)",
        kVersion5));
  }
  const std::unique_ptr<mat_t, CloseMat> mat(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  if (mat == nullptr) throw InvalidInput("damaged: the library matio cannot open it");
  const std::unique_ptr<matvar_t, FreeVariable> variable(Mat_VarRead(mat.get(), "GTcls"));
  const matvar_t* field = variable != nullptr && variable->class_type == MAT_C_STRUCT
                              ? Mat_VarGetStructFieldByName(variable.get(), "Segmentation", 0)
                              : nullptr;
  if (field == nullptr || field->data == nullptr || field->rank != 2 ||
      field->class_type != MAT_C_UINT8 || field->dims[0] < 1 || field->dims[1] < 1 ||
      field->dims[0] > 65536 || field->dims[1] > 65536 ||
      field->nbytes != field->dims[0] * field->dims[1]) {
    throw InvalidInput("expected the field Segmentation of GTcls, uint8 [rows, columns]");
  }
  const std::size_t height = field->dims[0];
  const std::size_t width = field->dims[1];
  const auto* columns = static_cast<const uint8_t*>(field->data);  // column after column
  Image mask{{1, static_cast<int>(height), static_cast<int>(width)}, {}};
  mask.pixels.reserve(height * width);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) mask.pixels.push_back(columns[x * height + y]);
  }
  return mask;
}

#else

bool reads_sbd() { return false; }

Image read_sbd_mask(const std::string& path) {
  throw Unsupported(fmt::format(
      "{}: this build reads no .mat files; install matio (Debian: libmatio-dev) and build again",
      path));
}

#endif

}  // namespace renas::prep
