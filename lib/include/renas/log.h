#pragma once

#include <functional>
#include <string_view>

namespace renas {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Where the library says what it does. It never prints by itself; an empty function is silence.
/// May be called from any thread of the library, one call at a time per object that holds it.
using Log = std::function<void(LogLevel, std::string_view)>;

}  // namespace renas
