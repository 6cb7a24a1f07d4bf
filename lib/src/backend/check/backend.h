#pragma once

#include <memory>

#include "renas/backend.h"

namespace renas::check {

/// A backend that computes everything twice, by `subject` and by `witness`, and throws Error where
/// they disagree: the name "check:SUBJECT,WITNESS". What it returns is the subject's.
///
/// Before each step the witness takes over the subject's parameters and momenta, so that a step is
/// compared by itself and rounding does not grow over steps. Compared are the loss and the
/// gradients of each step, its new parameters, and scores. Where a batch norm divides by a tiny
/// variance or a maximum is nearly two, honest backends differ too; the tolerance leaves room for
/// it.
std::unique_ptr<Backend> make_check(std::unique_ptr<Backend> subject,
                                    std::unique_ptr<Backend> witness);

}  // namespace renas::check
