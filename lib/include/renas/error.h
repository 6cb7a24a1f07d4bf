#pragma once

#include <stdexcept>
#include <string>

namespace renas {

/// The one family of exceptions that leaves the library. The message is complete: what was
/// expected, what was found, where, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument, option, genome, search space or file content that the user can mend.
class InvalidInput : public Error {
 public:
  using Error::Error;
};

/// A tensor whose shape is not the one a network, node or file calls for.
class InvalidShape : public InvalidInput {
 public:
  using InvalidInput::InvalidInput;
};

/// A file that cannot be opened, read, written, or whose bytes are damaged.
class IoError : public Error {
 public:
  using Error::Error;
};

/// The device or host has not the memory that was asked for.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// This build, backend or processor cannot do what was asked.
class Unsupported : public Error {
 public:
  using Error::Error;
};

}  // namespace renas
