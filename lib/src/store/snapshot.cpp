#include "store/snapshot.h"

#include <fmt/format.h>

#include "renas/error.h"
#include "store/hdf5_file.h"

namespace renas {
namespace {

constexpr const char* kFormat = "renas-search";
constexpr int kVersion = 2;

/// Reads every data set below `group` into `state`, under names with slashes.
void read_state(hid_t group, const std::string& prefix, State& state) {
  for (const std::string& name : h5::children(group)) {
    const std::string path = prefix + name;
    if (h5::is_group(group, name)) {
      read_state(h5::open_group(group, name), path + "/", state);
      continue;
    }
    const h5::Dataset dataset = h5::open_dataset(group, name);
    const h5::Type type(H5Dget_type(dataset));
    if (H5Tget_class(type) == H5T_FLOAT) {
      if (H5Tget_size(type) == sizeof(float)) {
        state[path] = h5::read<float>(group, name);
      } else {
        state[path] = h5::read<double>(group, name);
      }
    } else if (H5Tget_sign(type) == H5T_SGN_NONE) {
      state[path] = h5::read<uint64_t>(group, name);
    } else {
      state[path] = h5::read<int64_t>(group, name);
    }
  }
}

}  // namespace

void save_snapshot(const std::string& path, const Snapshot& snapshot, const std::string& previous) {
  const auto fill = [&](hid_t file) {
    h5::write_attribute<uint64_t>(file, "journal_lines", snapshot.journal_lines);
    h5::write_attribute<uint64_t>(file, "arrays", snapshot.strategy.size());
    for (const auto& [name, array] : snapshot.strategy) {
      for (std::size_t slash = name.find('/'); slash != std::string::npos;
           slash = name.find('/', slash + 1)) {
        const std::string folder = name.substr(0, slash);
        if (h5::exists(file, folder)) continue;
        h5::Group group = h5::create_group(file, folder);
        h5::close(group, file, "write group '" + folder + "'");
      }
      std::visit([file, &path = name](const auto& values) { h5::write(file, path, values); },
                 array);
    }
  };
  write_hdf5(path, kFormat, kVersion, fill, previous);
}

Snapshot load_snapshot(const std::string& path) {
  const h5::Guard guard;
  const h5::File file = open_hdf5(path, kFormat, kVersion);
  Snapshot snapshot;
  snapshot.journal_lines = h5::read_attribute<uint64_t>(file, "journal_lines");
  read_state(file, "", snapshot.strategy);
  const auto arrays = h5::read_attribute<uint64_t>(file, "arrays");
  if (snapshot.strategy.size() != arrays) {
    throw IoError(fmt::format("{}: expected {} arrays, found {}; the file is damaged", path, arrays,
                              snapshot.strategy.size()));
  }
  return snapshot;
}

}  // namespace renas
