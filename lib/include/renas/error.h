#pragma once

#include <stdexcept>
#include <string>

namespace renas {

/// The base class of every exception that the library throws of its own. The message is complete:
/// it says what was expected, what was found, where, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown for an argument, option, genome, search space or file content that the user can correct.
class InvalidInput : public Error {
 public:
  using Error::Error;
};

/// Thrown for a tensor whose shape is not the one that a network, node or file requires.
class InvalidShape : public InvalidInput {
 public:
  using InvalidInput::InvalidInput;
};

/// Thrown for a file that cannot be opened, read or written, or whose bytes are damaged.
class IoError : public Error {
 public:
  using Error::Error;
};

/// Thrown where the device or host cannot allocate the memory that a network needs.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Thrown where a device has failed in a way that only a new process can mend, such as an illegal
/// address or a memory error of the card. Whoever holds the device should end.
class DeviceLost : public Error {
 public:
  using Error::Error;
};

/// Thrown where this build, backend or processor lacks a feature that was requested.
class Unsupported : public Error {
 public:
  using Error::Error;
};

}  // namespace renas
