#pragma once

#include <functional>
#include <string_view>

namespace renas {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// The function that receives the library's log messages. The library never prints by itself, and
/// an empty function silences it. Any thread of the library may call the function, but an object
/// that holds one makes one call at a time.
using Log = std::function<void(LogLevel, std::string_view)>;

}  // namespace renas
