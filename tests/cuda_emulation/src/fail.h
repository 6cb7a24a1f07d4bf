#pragma once

#include <string>

namespace emulation {

/// Ends the program with a sentence that names the block and thread, if a kernel runs: what a card
/// would answer with a hang, garbage or a fault.
[[noreturn]] void fail(const std::string& what);

}  // namespace emulation
