// Eigen for files that are compiled once for each instruction set: X_baseline.cpp and X_avx2.cpp,
// which include X_impl.h. A template that two of them emit under one name would be merged by the
// linker, and an old processor would then meet instructions it lacks. Everything they compile,
// Eigen included, must therefore have a name of its own: RENAS_CPU_NAMESPACE. So there are no
// standard containers in these files.
#ifndef RENAS_CPU_NAMESPACE
#error "include from X_baseline.cpp or X_avx2.cpp only"
#endif

#pragma once

#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <Eigen/Core>
