#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backend/reference/program.h"
#include "renas/backend.h"
#include "renas/error.h"
#ifdef RENAS_WITH_ONEDNN
#include "backend/cpu/backend.h"
#endif

namespace renas {

// Plain ifs: an object that registers itself while it is constructed disappears from a static
// library, since nothing refers to it.
std::vector<std::string> backend_names() {
  std::vector<std::string> names;
#ifdef RENAS_WITH_ONEDNN
  names.push_back("cpu");
#endif
  names.push_back("reference");
  return names;
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
  const std::vector<std::string> names = backend_names();
  const std::string wanted = name == "auto" ? names.front() : name;
#ifdef RENAS_WITH_ONEDNN
  if (wanted == "cpu" || wanted == "onednn") return cpu::make_cpu();
#endif
  if (wanted == "reference") return reference::make_reference();
  throw InvalidInput(
      fmt::format("backend: this build has {} and 'auto', got '{}'", fmt::join(names, ", "), name));
}

}  // namespace renas
