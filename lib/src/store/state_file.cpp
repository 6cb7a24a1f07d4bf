#include "store/state_file.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "core/files.h"
#include "renas/error.h"

// All numbers are little-endian:
//
//   "renas-state-1\n"
//   for each array, by name: u64 length of the name, the name, u64 type (index in StateArray),
//                            u64 number of elements, the elements
//   u64 checksum of all bytes before
namespace renas {

static_assert(std::endian::native == std::endian::little, "state files are little-endian");

namespace {

constexpr std::string_view kMagic = "renas-state-1\n";

/// Computes the FNV-1a hash of 64 bits, which detects damage, not intent.
uint64_t checksum(std::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

void put(std::string& bytes, const void* data, std::size_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

void put_number(std::string& bytes, uint64_t number) { put(bytes, &number, sizeof number); }

class Bytes {
 public:
  Bytes(std::string_view bytes, const std::string& path) : rest_(bytes), path_(path) {}

  bool empty() const { return rest_.empty(); }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) {
      throw IoError(fmt::format("{}: the search state is cut short or damaged", path_));
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t number() {
    uint64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> array() {
    const uint64_t count = number();
    // A damaged count must not be multiplied beyond 64 bits.
    const std::string_view taken = take(count > rest_.size() ? count : count * sizeof(T));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), taken.data(), taken.size());
    return values;
  }

 private:
  std::string_view rest_;
  std::string path_;
};

}  // namespace

void write_state(const std::string& path, const State& state) {
  std::string bytes(kMagic);
  for (const auto& [name, array] : state) {
    put_number(bytes, name.size());
    bytes += name;
    put_number(bytes, array.index());
    std::visit(
        [&](const auto& values) {
          put_number(bytes, values.size());
          put(bytes, values.data(), values.size() * sizeof(values[0]));
        },
        array);
  }
  put_number(bytes, checksum(bytes));
  write_text(path, bytes);
}

State read_state(const std::string& path) {
  const std::string text = read_text(path);
  const std::string_view all = text;
  if (all.substr(0, kMagic.size()) != kMagic) {
    throw IoError(fmt::format("{}: this is not a search state", path));
  }
  if (all.size() < kMagic.size() + sizeof(uint64_t)) {
    throw IoError(fmt::format("{}: the search state is cut short or damaged", path));
  }
  const std::string_view body = all.substr(0, all.size() - sizeof(uint64_t));
  if (Bytes(all.substr(body.size()), path).number() != checksum(body)) {
    throw IoError(fmt::format("{}: the search state is cut short or damaged", path));
  }
  State state;
  for (Bytes bytes(body.substr(kMagic.size()), path); !bytes.empty();) {
    const std::string name(bytes.take(bytes.number()));
    switch (bytes.number()) {
      case 0:
        state[name] = bytes.array<int64_t>();
        break;
      case 1:
        state[name] = bytes.array<uint64_t>();
        break;
      case 2:
        state[name] = bytes.array<double>();
        break;
      case 3:
        state[name] = bytes.array<float>();
        break;
      default:
        throw IoError(
            fmt::format("{}: array '{}' has a type this version does not know", path, name));
    }
  }
  return state;
}

}  // namespace renas
